"""Signed commands: writing to Redis is not enough to make a node run, change, repeat, widen or cancel one."""

import asyncio
import dataclasses
import datetime as dt
import json
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from eccmgr.access.keys import SigningKey, write_key_files
from eccmgr.access.statements import (
    CommandStatement,
    ReleaseStatement,
    ScheduleStatement,
    ShownStatement,
    Signed,
    SignedStatement,
    WithdrawalStatement,
    signed,
)
from eccmgr.access.trusted_keys import TrustedKeys
from eccmgr.cluster.gathering import Audience
from eccmgr.cluster.publishing import digest, wall_clock_ms
from eccmgr.cluster.view import EVERYONE
from eccmgr.cluster.waiting import Pace, Published
from eccmgr.node.messages import Message
from tests.daemons import QUICK
from tests.integration.fleet import Fleet
from tests.waiting import wait_until
from worker.node import EcNode

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]
UNTIL = dt.date(2999, 1, 1)
KEY, OTHER = SigningKey(b"k" * 32, "m1", UNTIL), SigningKey(b"o" * 32, "m2", UNTIL)
TRUSTING = f'cluster {{ trusted_managers = ( "{KEY.public}" ) }}\n'


@pytest.fixture
def signing(folder: Path) -> str:
    """The configuration of a manager that signs with KEY."""
    folder.joinpath("keys").mkdir()
    private, _ = write_key_files(folder / "keys", KEY)
    return f'cluster {{ signing_key = "{private}" }}\n'


def statement(fleet: Fleet, **values: object) -> CommandStatement:
    now = wall_clock_ms()
    made = CommandStatement(c=fleet.cluster, id="0123456789AB", t=("all",), x="mark", u="root", iat=now, exp=now + 9000)
    return msgspec.structs.replace(made, **values)


def message(node: EcNode, made: Signed | None = None, channel: str = "", **values: object) -> bytes:
    """A message that anybody who reaches Redis may publish."""
    fields: dict[str, object] = {
        "id": "0123456789AB",
        "view": 10**9,
        "ttl": 60_000,
        "channel": channel or node.keys.everyone,
        "entry": "1-1",
        "before": "0-0",
    }
    if made is not None:
        env, sig = made.kept
        fields |= {"env": env.decode(), "sig": sig.decode()}
    return json.dumps(fields | values).encode()


class TestSignedFleet:
    async def test_signed_command_runs_and_unsigned_is_refused(self, fleet: Fleet, signing: str) -> None:
        await fleet.manager(configuration=signing)
        await fleet.manager("unsigned")
        await fleet.node("east1", configuration=TRUSTING)
        await fleet.node("east2")
        assert await fleet.lines("gather mark") == ["east1: marked", "east2: marked"]
        assert await fleet.lines("gather version", manager=0) != []
        refused = await fleet.lines("gather mark", manager=1)
        assert refused == ["east1: refused: not authentic: it is not signed", "east2: marked"]
        assert (await fleet.lines("gather pid", manager=1))[0] == refused[0]
        assert sorted(fleet.ran) == ["east1", "east2", "east2"]

    @pytest.mark.parametrize("target", ["@all", "@default", "east1", "east[1-2]"])
    async def test_every_target_is_signed(self, fleet: Fleet, signing: str, target: str) -> None:
        await fleet.manager(configuration=signing)
        await fleet.node("east1", configuration=TRUSTING)
        await fleet.node("east2", configuration=TRUSTING)
        lines = await fleet.lines(f"gather {target} mark")
        assert lines == ["east1: marked", "east2: marked"][: len(lines)]
        assert lines

    async def test_batches_are_released_with_signatures(self, fleet: Fleet, signing: str) -> None:
        await fleet.manager(configuration=signing)
        for number in (1, 2, 3):
            await fleet.node(f"east{number}", configuration=TRUSTING)
        lines = await fleet.lines("gather --batch 1 mark")
        assert lines == ["east1: marked", "east2: marked", "east3: marked"]

    @pytest.mark.parametrize("forged", [{}, {"pace": "9 -"}, {"pace_env": ""}, {"pace_sig": "x"}])
    async def test_only_a_signed_pace_goes_on(self, fleet: Fleet, signing: str, forged: dict[str, str]) -> None:
        manager = await fleet.manager(configuration=signing)
        for number in (1, 2):
            await fleet.node(f"east{number}", configuration=TRUSTING)
        manager.delivery.running_on.take = lambda *_: False  # type: ignore[method-assign]
        ids: list[str] = []

        async def note(published: Published) -> None:
            ids.append(published.sent.id)

        gather = manager.delivery.gather("hold", EVERYONE, "root", 6, Audience(note), pace=Pace(1), runs_on=True)
        waiting = asyncio.create_task(gather)
        await wait_until(lambda: fleet.ran == ["east1"], "the first has begun")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        for field, value in forged.items():
            await manager.link.call("HSET", manager.keys.command(ids[0]), field, value)
        fleet.gate.set()
        lines = await fleet.lines(f"attach {ids[0]}")
        # The text beside the statement is not what counts.
        goes_on = forged in ({}, {"pace": "9 -"})
        assert lines == ["east1: held", "east2: held" if goes_on else "east2: (skipped)"]
        assert fleet.ran == ["east1", "east2"][: len(fleet.ran)]
        assert len(fleet.ran) == 1 + goes_on

    async def test_signed_abort_ends_a_running_command(self, fleet: Fleet, signing: str) -> None:
        await fleet.manager(configuration=signing)
        await fleet.node("east1", configuration=TRUSTING)
        sent = await fleet.broadcast("hold")
        await wait_until(lambda: fleet.ran == ["east1"], "it has begun")
        assert await fleet.lines(f"abort #{sent}") == ["east1: (aborted)"]

    async def test_unsigned_abort_cancels_nothing(self, fleet: Fleet, signing: str) -> None:
        await fleet.manager(configuration=signing)
        await fleet.manager("unsigned")
        await fleet.node("east1", configuration=TRUSTING)
        sent = await fleet.broadcast("hold")
        await wait_until(lambda: fleet.ran == ["east1"], "it has begun")
        await fleet.ask(f"abort #{sent}", manager=1)
        fleet.gate.set()
        await fleet.shows(f"retrieve #{sent}", "east1: held")

    async def test_what_was_missed_is_read_with_its_signatures(self, fleet: Fleet, signing: str) -> None:
        await fleet.manager(configuration=signing)
        node = await fleet.node("east1", configuration=TRUSTING)
        hear: Callable[[str, bytes], None] = node.executor.heard
        node.executor.heard = lambda _channel, _raw: None  # type: ignore[method-assign]
        try:
            assert await fleet.lines("gather --batch 1 mark") == ["east1: marked"]
        finally:
            node.executor.heard = hear  # type: ignore[method-assign]

    @pytest.mark.parametrize(
        ("field", "value"),
        [("text", "hold"), ("env", ""), ("issuer", "somebody"), ("sig", ""), ("masked", "1")],
    )
    async def test_changed_record_is_not_retrieved(self, fleet: Fleet, signing: str, field: str, value: str) -> None:
        manager = await fleet.manager(configuration=signing)
        await fleet.node("east1", configuration=TRUSTING)
        sent = (await fleet.ask("gather mark")).split()[1]
        assert await fleet.lines("retrieve mark") == ["east1: marked"]
        assert await fleet.lines(f"retrieve #{sent}") == ["east1: marked"]
        await manager.link.call("HSET", manager.keys.command(sent), field, value)
        assert "is not authentic" in await fleet.ask(f"retrieve #{sent}")

    @pytest.mark.parametrize("options", ["", "--batch 1 "])
    async def test_command_with_a_secret_is_signed(self, fleet: Fleet, signing: str, options: str) -> None:
        await fleet.manager(configuration=signing)
        await fleet.node("east1", configuration=TRUSTING)
        answer = await fleet.ask(f'gather {options}config set Datasource d uri "pg:password=S3cr3t"')
        sent = answer.split()[1]
        assert "S3cr3t" not in answer
        assert await fleet.lines(f"retrieve #{sent}") == answer.splitlines()[1:]

    async def test_secret_command_is_retrieved_after_its_text_went(self, fleet: Fleet, signing: str) -> None:
        manager = await fleet.manager(configuration=signing)
        await fleet.node("east1", configuration=TRUSTING)
        sent = (await fleet.ask("gather config set a_password hush")).split()[1]
        await manager.link.call("DEL", manager.keys.secret(sent))
        for named in (f"#{sent}", "config set a_password other"):
            assert "config set a_password ********" in await fleet.ask(f"retrieve {named}")
        await manager.link.call("HSET", manager.keys.command(sent), "text", "config set a_password open")
        assert "is not authentic" in await fleet.ask(f"retrieve #{sent}")

    async def test_text_led_to_another_command_is_not_retrieved(self, fleet: Fleet, signing: str) -> None:
        manager = await fleet.manager(configuration=signing)
        await fleet.node("east1", configuration=TRUSTING)
        await fleet.ask("gather mark")
        other = (await fleet.ask("gather pid")).split()[1]
        await manager.link.call("HSET", manager.keys.latest, digest("mark"), other)
        assert "is not authentic: it is another command" in await fleet.ask("retrieve mark")

    async def test_forged_schedule_does_not_run(self, fleet: Fleet, signing: str) -> None:
        manager = await fleet.manager(configuration=signing)
        await fleet.node("east1", configuration=TRUSTING)
        forged = {"id": "00aa11", "text": "broadcast mark", "user": "root", "every": 1}
        await manager.link.call("HSET", manager.keys.schedules(""), "00aa11", json.dumps(forged))
        await manager.link.call("ZADD", manager.keys.schedules_due(""), wall_clock_ms(), "00aa11")

        async def refused() -> bool:
            return "broadcast mark: not authentic: it is not signed" in await fleet.ask("sched history")

        await wait_until(refused, "it is refused")
        await fleet.ask("sched delete 00aa11")
        assert (await fleet.ask("sched in 0 broadcast mark")).startswith("Job ")
        await wait_until(lambda: fleet.ran == ["east1"], "the true one runs")

    async def test_deleted_schedule_that_comes_back_does_not_run(self, fleet: Fleet, signing: str) -> None:
        manager = await fleet.manager(configuration=signing)
        await fleet.node("east1", configuration=TRUSTING)
        job = (await fleet.ask("sched in 3600 broadcast mark")).split()[1]
        kept = await manager.link.call("HGET", manager.keys.schedules(""), job)
        assert await fleet.ask(f"sched delete {job}") == f"Deleted {job}"
        await manager.link.call("HSET", manager.keys.schedules(""), job, kept)
        await manager.link.call("ZADD", manager.keys.schedules_due(""), wall_clock_ms(), job)

        async def refused() -> bool:
            return "broadcast mark: not authentic: it was deleted" in await fleet.ask("sched history")

        await wait_until(refused, "it is refused")
        assert fleet.ran == []

    @pytest.mark.parametrize("target", ["@role:mta", "@all!role:db", "@west,east1"])
    async def test_moved_roster_widens_no_target(self, fleet: Fleet, signing: str, target: str) -> None:
        manager = await fleet.manager(configuration=signing)
        for name, role in (("east1", "mta"), ("east2", "db"), ("west1", "mta"), ("next1", "db")):
            await fleet.node(name, name[:4], configuration=f"{TRUSTING}cluster {{ tags = [ role = {role} ] }}\n")
        assert await fleet.lines(f"gather {target} mark") == ["east1: marked", "west1: marked"]
        line = (await manager.link.call("HGET", manager.keys.roster, "east2")).decode()
        forged = line.replace("role=db", "role=mta").replace("\teast\t", "\twest\t")
        await manager.link.call("HSET", manager.keys.roster, "east2", forged)
        await manager.link.call("HINCRBY", manager.keys.state, "view", 1)
        manager.delivery.heard_event()
        first, second, third = await fleet.lines(f"gather {target} mark")
        assert (first, third) == ("east1: marked", "west1: marked")
        assert second.startswith("east2: refused: not authentic: it was signed for @")
        assert "east2" not in fleet.ran

    async def test_info_names_keys_and_their_days(self, fleet: Fleet, signing: str) -> None:
        await fleet.manager(configuration=signing)
        await fleet.node("east1", configuration=TRUSTING)
        assert "Signing key: m1, " in await fleet.ask("info")
        assert "Trusted managers: m1, " in await fleet.ask("gather cluster info")

    async def test_unsigned_fleet_says_so(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        assert "Signing key: none" in await fleet.ask("info")
        assert "Trusted managers: none" in await fleet.ask("gather cluster info")


async def disbelieved(node: EcNode, raw: bytes) -> str:
    """The reason why a node does not believe a message; "" if it takes the message."""
    reasons: list[str] = []
    node.executor._disbelieve = lambda _message, reason: reasons.append(reason)  # type: ignore[method-assign]
    node.executor.heard(node.keys.everyone, raw)
    await asyncio.sleep(0)
    return reasons[0] if reasons else ""


class TestForgeries:
    async def forged(self, fleet: Fleet, made: Callable[[EcNode], bytes], reason: str) -> None:
        node = await fleet.node("east1", subcluster="east", configuration=TRUSTING)
        assert reason in await disbelieved(node, made(node))
        assert fleet.ran == []

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"c": "elsewhere"}, "for the cluster 'elsewhere'"),
            ({"id": "OTHER"}, "OTHER was signed"),
            ({"t": ("node", "east2")}, "not for this node"),
            ({"t": ("sub", "west")}, "not for this node"),
            ({"t": ("set", "east[2-9]")}, "not for this node"),
            ({"b": True}, "it was not released to this node"),
            ({"iat": 1, "exp": 2}, "expired"),
        ],
    )
    async def test_signed_command_for_others_is_refused(
        self, fleet: Fleet, values: dict[str, object], reason: str
    ) -> None:
        await self.forged(fleet, lambda node: message(node, signed(statement(fleet, **values), KEY)), reason)

    async def test_future_and_long_lives_are_refused(self, fleet: Fleet) -> None:
        now = wall_clock_ms()
        node = await fleet.node("east1", configuration=TRUSTING)
        future = statement(fleet, iat=now + 37_500, exp=now + 60_000)
        assert "in the future by this node's clock" in await disbelieved(node, message(node, signed(future, KEY)))
        long = statement(fleet, exp=now + 7_200_000)
        assert "longer than an hour" in await disbelieved(node, message(node, signed(long, KEY)))

    async def test_foreign_and_changed_statements_are_refused(self, fleet: Fleet) -> None:
        node = await fleet.node("east1", configuration=TRUSTING)
        true = signed(statement(fleet), KEY)
        for forged, reason in (
            (signed(statement(fleet), OTHER), "not trusted"),
            (Signed(true.env.replace(b"mark", b"hold"), true.sig), "does not fit"),
            (Signed(true.env, OTHER.sign(true.env)), "does not fit"),
        ):
            assert reason in await disbelieved(node, message(node, forged))
        assert "it is not signed" in await disbelieved(node, message(node, text="mark", issuer="root"))

    async def test_release_is_no_command_and_of_its_command(self, fleet: Fleet) -> None:
        node = await fleet.node("east1", configuration=TRUSTING)
        command = signed(statement(fleet, b=True), KEY)
        now = wall_clock_ms()

        def release(**values: object) -> dict[str, object]:
            made = ReleaseStatement(
                c=fleet.cluster, id="0123456789AB", of=command.digest, nodes=("east1",), iat=now, exp=now + 9000
            )
            env, sig = signed(msgspec.structs.replace(made, **values), KEY).kept
            return {"release_env": env.decode(), "release_sig": sig.decode()}

        for values, reason in (
            ({"id": "OTHER"}, "another command"),
            ({"of": "0" * 64}, "another command"),
            ({"nodes": ("east2",)}, "other nodes"),
            ({"exp": now - 1}, "expired"),
        ):
            assert reason in await disbelieved(node, message(node, command, **release(**values)))
        unsigned = {"release_env": command.env.decode(), "release_sig": command.kept[1].decode()}
        assert "does not fit" in await disbelieved(node, message(node, command, **unsigned))
        assert await disbelieved(node, message(node, command, **release())) == ""

    async def test_repeated_command_is_taken_once(self, fleet: Fleet) -> None:
        node = await fleet.node("east1", configuration=TRUSTING)
        taken = []
        node.executor._answered_at_once = lambda heard: taken.append(heard.id) or True  # type: ignore[method-assign]
        made = signed(statement(fleet), KEY)
        for _ in range(3):
            node.executor.heard(node.keys.everyone, message(node, made))
            node.executor.read_up(message(node, made))
        assert taken == ["0123456789AB"]

    async def test_second_text_under_an_id_does_not_run(self, fleet: Fleet) -> None:
        node = await fleet.node("east1", configuration=TRUSTING)
        taken = []
        node.executor._answered_at_once = lambda heard: taken.append(heard.text) or True  # type: ignore[method-assign]
        for text in ("pid", "mark", "hold"):
            node.executor.heard(node.keys.everyone, message(node, signed(statement(fleet, x=text), KEY)))
        assert taken == ["pid"]

    async def test_statement_of_another_kind_is_no_command(self, fleet: Fleet) -> None:
        node = await fleet.node("east1", configuration=TRUSTING)
        now = wall_clock_ms()
        sent = {"c": fleet.cluster, "id": "0123456789AB"}
        for other in (
            ReleaseStatement(**sent, of="0" * 64, nodes=("east1",), iat=now, exp=now + 9000),
            WithdrawalStatement(**sent, u="root", iat=now, exp=now + 9000),
            ShownStatement(**sent, of="0" * 64, t=("all",), x="mark", u="root"),
            ScheduleStatement(**sent, owner="", x="mark", u="root", when="{}", created=now, until=now + 9000),
        ):
            assert "does not fit" in await disbelieved(node, message(node, signed(other, KEY)))
        assert fleet.ran == []

    async def test_message_of_eight_mebibytes_is_not_read(self, fleet: Fleet) -> None:
        node = await fleet.node("east1", configuration=TRUSTING)
        for long in (statement(fleet, x="mark " * (8 << 18)), statement(fleet, u="r" * (8 << 20))):
            raw = message(node, signed(long, KEY))
            with pytest.raises(ValueError, match="longer than"):
                node.executor.heard(node.keys.everyone, raw)
        long = statement(fleet, x="mark " + "." * (2 << 20))
        assert "its statement has" in await disbelieved(node, message(node, signed(long, KEY)))
        assert fleet.ran == []

    @pytest.mark.parametrize(
        "values",
        [
            {"id": "OTHER"},
            {"id": "0123456789ab"},
            {"id": "0123456789AB "},
            {"sig": "x"},
            {"sig": ""},
            {"sig": "A" * 86 + "=="},
            {"env": "{}"},
            {"env": ""},
        ],
    )
    async def test_changed_message_is_refused(self, fleet: Fleet, values: dict[str, str]) -> None:
        node = await fleet.node("east1", configuration=TRUSTING)
        raw = message(node, signed(statement(fleet), KEY), **values)
        if values == {"env": ""}:
            with pytest.raises(ValueError, match="neither a text nor a statement"):
                node.executor.heard(node.keys.everyone, raw)
        else:
            assert await disbelieved(node, raw)
        assert fleet.ran == []

    async def test_text_beside_the_statement_does_not_count(self, fleet: Fleet) -> None:
        node = await fleet.node("east1", configuration=TRUSTING)
        beside = {"text": "hold", "issuer": "nobody", "target": ["sub", "west"], "of": "0" * 64, "begin_by": 1e12}
        raw = message(node, signed(statement(fleet, x="mark"), KEY), **beside)
        heard = Message.parse(raw, time.monotonic())
        node.executor._authenticity.open(heard)
        assert (heard.text, heard.issuer, heard.target) == ("mark", "root", ("all",))
        assert heard.of != "0" * 64
        assert heard.begin_by <= time.monotonic() + 60

    async def test_command_from_before_this_life_is_refused(self, fleet: Fleet) -> None:
        made = signed(statement(fleet), KEY)
        await asyncio.sleep(0.005)
        await self.forged(fleet, lambda node: message(node, made), "before this node's process began")

    async def test_time_and_place_that_redis_says_only_narrow(self, fleet: Fleet) -> None:
        node = await fleet.node("east1", configuration=TRUSTING)
        now = wall_clock_ms()
        made = statement(fleet, exp=now + 1000, t=("node", "east1"))
        raw = message(node, signed(made, KEY), ttl=10**9)
        heard = Message.parse(raw, 0.0)
        node.executor._authenticity.open(heard)
        assert heard.begin_by <= time.monotonic() + 1.0
        assert (heard.text, heard.issuer, heard.target) == ("mark", "root", ("node", "east1"))

    async def test_forged_withdrawal_cancels_nothing(self, fleet: Fleet) -> None:
        node = await fleet.node("east1", configuration=TRUSTING)
        aborted: list[str] = []
        node.executor.abort = lambda command: aborted.append(command) or True  # type: ignore[method-assign]
        now = wall_clock_ms()

        def withdrawal(made: SignedStatement, key: SigningKey = KEY) -> bytes:
            env, sig = signed(made, key).kept
            fields = {"abort": "0123456789AB", "channel": node.keys.everyone, "entry": "1-1", "before": "0-0"}
            text = json.dumps(fields | {"env": env.decode(), "sig": sig.decode()})
            return text.replace('{"abort": ', '{"abort":').encode()

        true = WithdrawalStatement(c=fleet.cluster, id="0123456789AB", u="root", iat=now, exp=now + 9000)
        for forged in (
            withdrawal(msgspec.structs.replace(true, id="OTHER")),
            withdrawal(true, OTHER),
            withdrawal(msgspec.structs.replace(true, exp=now - 1)),
            withdrawal(msgspec.structs.replace(true, c="elsewhere")),
            withdrawal(statement(fleet)),
        ):
            node.executor.heard(node.keys.everyone, forged)
        assert aborted == []
        node.executor.heard(node.keys.everyone, withdrawal(true))
        assert aborted == ["0123456789AB"]

    async def test_command_of_a_revoked_key_does_not_begin(self, fleet: Fleet, signing: str) -> None:
        await fleet.manager(configuration=signing)
        options = dataclasses.replace(QUICK, max_running=1)
        node = await fleet.node("east1", configuration=TRUSTING, options=options)
        await fleet.broadcast("hold")
        await wait_until(lambda: fleet.ran == ["east1"], "the node is busy")
        sent = await fleet.broadcast("mark")
        await wait_until(lambda: sent in node.executor._runs, "the command waits")
        node.keyring.trusted.keys = TrustedKeys([OTHER.public])
        fleet.gate.set()
        said = "east1: refused: not authentic: it is signed with a key that is not trusted here"
        await fleet.shows(f"retrieve #{sent}", said)
        assert fleet.ran == ["east1"]
