"""Authentic answers: writing to Redis is not enough to answer for a certified node."""

import datetime as dt
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from eccmgr.access.certificates import certify
from eccmgr.access.keys import SigningKey, write_key_files
from eccmgr.cluster.members import Member
from eccmgr.cluster.shown_certificates import ShownCertificates
from eccmgr.cluster.view import Seat
from eccmgr.cluster.vouching import MemberVerifier
from eccmgr.errors import SettingsError
from eccmgr.manager import Manager
from tests.integration.fleet import Fleet
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]
UNTIL = dt.date(2099, 1, 1)
END_MS = 4_000_000_000_000
CA, MANAGER = SigningKey(b"c" * 32, "ca", UNTIL), SigningKey(b"m" * 32, "m1", UNTIL)


@dataclass
class Keyring:
    """The keys of one cluster, as files."""

    folder: Path
    cluster: str

    def __post_init__(self) -> None:
        self.folder.mkdir()
        write_key_files(self.folder, MANAGER)

    @property
    def manager(self) -> str:
        """The configuration of a manager."""
        return f'cluster {{ signing_key = "{self.folder}/m1.key"  node_authorities = ( "{CA.public}" ) }}\n'

    def node(self, name: str, named: str = "", cluster: str = "", authority: SigningKey = CA, seed: bytes = b"") -> str:
        """The configuration of a node, whose certificate may be of another name, cluster or authority."""
        key = SigningKey((seed or name.encode()).ljust(32, b"."), named or name, UNTIL)
        private, _ = write_key_files(self.folder, key)
        certificate = self.folder / f"{name}.crt"
        certificate.write_text(certify(authority, cluster or self.cluster, key.public, "default", END_MS).line)
        trusted = f'trusted_managers = ( "{MANAGER.public}" )'
        return f'cluster {{ signing_key = "{private}"  certificate = "{certificate}"  {trusted} }}\n'


@pytest.fixture
def keyring(fleet: Fleet) -> Keyring:
    return Keyring(fleet.folder / "keyring", fleet.cluster)


async def test_answers_of_certified_nodes_are_shown(fleet: Fleet, keyring: Keyring) -> None:
    await fleet.manager(configuration=keyring.manager)
    for name in ("east1", "east2"):
        await fleet.node(name, configuration=keyring.node(name))
    expected = ["east1: marked", "east2: marked"]
    assert await fleet.lines("gather mark") == expected
    assert await fleet.lines("retrieve mark") == expected
    assert await fleet.lines("gather --batch 1 mark") == expected
    assert (await fleet.lines("gather fail"))[0] == "east1: failed: it cannot be done"
    assert len((await fleet.lines("gather east1 repeat 100000"))[0]) > 100_000


async def test_answer_to_a_secret_command_is_shown(fleet: Fleet, keyring: Keyring) -> None:
    await fleet.manager(configuration=keyring.manager)
    await fleet.node("east1", configuration=keyring.node("east1"))
    answer = await fleet.ask('gather config set Datasource d uri "pg:password=S3cr3t"')
    assert "not authentic" not in answer
    assert await fleet.lines(f"retrieve #{answer.split()[1]}") == answer.splitlines()[1:]


async def test_answers_without_certificate_are_not_believed(fleet: Fleet, keyring: Keyring) -> None:
    await fleet.manager(configuration=keyring.manager)
    await fleet.node("east1")
    await fleet.node("east2", configuration=keyring.node("east2", cluster="elsewhere"))
    await fleet.node("east3", configuration=keyring.node("east3", authority=SigningKey(b"x" * 32, "ca", UNTIL)))
    assert await fleet.lines("gather mark") == [
        "east1: failed: not authentic: the node has shown no certificate",
        f"east2: failed: not authentic: it is for the cluster 'elsewhere', not for '{fleet.cluster}'",
        "east3: failed: not authentic: it is signed with a key that is not trusted here",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"marked", b"MARKED"), (b"\nm", b"m"), (b"ok\t", b"failed\t"), (b"\ts\n", b"\t\n"), (b":", b";")],
)
async def test_changed_answer_is_not_believed(fleet: Fleet, keyring: Keyring, old: bytes, new: bytes) -> None:
    manager = await fleet.manager(configuration=keyring.manager)
    await fleet.node("east1", configuration=keyring.node("east1"))
    sent = (await fleet.ask("gather mark")).split()[1]
    key = manager.keys.responses(sent)
    kept = await manager.link.call("HGET", key, "east1")
    assert old in kept
    await manager.link.call("HSET", key, "east1", kept.replace(old, new))
    assert (await fleet.lines(f"retrieve #{sent}"))[0].startswith("east1: failed: not authentic: ")


async def test_old_answer_is_not_a_new_one(fleet: Fleet, keyring: Keyring) -> None:
    manager = await fleet.manager(configuration=keyring.manager)
    await fleet.node("east1", configuration=keyring.node("east1"))
    first, second = [(await fleet.ask("gather mark")).split()[1] for _ in range(2)]
    kept = await manager.link.call("HGET", manager.keys.responses(first), "east1")
    await manager.link.call("HSET", manager.keys.responses(second), "east1", kept)
    assert await fleet.lines(f"retrieve #{second}") == ["east1: failed: not authentic: its seal does not fit"]


async def test_bomb_of_a_stranger_is_not_unpacked(fleet: Fleet, keyring: Keyring) -> None:
    manager = await fleet.manager(configuration=keyring.manager)
    node = await fleet.node("east1", configuration=keyring.node("east1"))
    sent = (await fleet.ask("gather mark")).split()[1]
    forged = f"ok\t{node.session.private_name}\t1\t0\tzs\n".encode() + b"k:s\n" + zlib.compress(b"." * 1_000_000)
    await manager.link.call("HSET", manager.keys.responses(sent), "east1", forged)
    assert await fleet.lines(f"retrieve #{sent}") == ["east1: failed: not authentic: its seal does not fit"]


async def test_new_key_of_a_node_is_known(fleet: Fleet, keyring: Keyring) -> None:
    await fleet.manager(configuration=keyring.manager)
    await fleet.node("east1", configuration=keyring.node("east1"))
    assert await fleet.lines("gather mark") == ["east1: marked"]
    (keyring.folder / "east1.key").unlink()
    (keyring.folder / "east1.pub").unlink()
    configuration = keyring.node("east1", seed=b"new")
    await fleet.node("east1", configuration=configuration, replace=True, listen=(str(fleet.folder / "again"),))
    assert await fleet.lines("gather mark") == ["east1: marked"]


async def test_node_with_anothers_certificate_does_not_start(fleet: Fleet, keyring: Keyring) -> None:
    with pytest.raises(SettingsError, match="is for the node east2, not for east1"):
        await fleet.node("east1", configuration=keyring.node("east1", named="east2"))


class TestMembers:
    @pytest_asyncio.fixture
    async def manager(self, fleet: Fleet, keyring: Keyring) -> Manager:
        manager = await fleet.manager(configuration=keyring.manager)
        await fleet.node("east1", configuration=keyring.node("east1"))
        return manager

    async def unknown(self, fleet: Fleet) -> dict[str, str]:
        """The nodes that the manager calls unknown, each with the reason, in each of the places that say so."""
        previewed = json.loads(await fleet.ask("json preview @all"))["unknown"]
        assert json.loads(await fleet.ask("json info"))["unknown"] == previewed
        listed = json.loads(await fleet.ask("json show cluster membership"))["members"]
        shown = {member["node_name"]: member["unknown"] for member in listed if "unknown" in member}
        assert {node: previewed[node] for node in shown} == shown
        assert (await fleet.ask("show cluster membership")).count("<Member unknown=") == len(shown)
        for place in ("info", "preview @all"):
            assert ("Unknown: " in await fleet.ask(place)) == bool(previewed)
        return previewed

    async def test_certified_nodes_are_known_in_each_session(
        self, fleet: Fleet, keyring: Keyring, manager: Manager
    ) -> None:
        assert await self.unknown(fleet) == {}
        configuration = keyring.node("east2")
        await fleet.node("east2", configuration=configuration)
        assert (await fleet.lines("gather cluster reset"))[0].startswith("east1: ")
        assert await self.unknown(fleet) == {}
        await fleet.node("east2", configuration=configuration, replace=True, listen=(f"{fleet.folder}/again",))
        assert await self.unknown(fleet) == {}
        assert manager.session.joined.is_set()

    async def test_stranger_without_a_valid_certificate_is_unknown(
        self, fleet: Fleet, keyring: Keyring, manager: Manager
    ) -> None:
        await fleet.node("west1")
        ended = certify(CA, fleet.cluster, SigningKey(b"west2".ljust(32, b"."), "west2", UNTIL).public, "default", 1)
        configuration = keyring.node("west2")
        (keyring.folder / "west2.crt").write_text(ended.line)
        await fleet.node("west2", configuration=configuration)
        await fleet.node("west3", "other", configuration=keyring.node("west3"))
        await fleet.node("west4", configuration=keyring.node("west4", authority=SigningKey(b"x" * 32, "ca", UNTIL)))
        assert await self.unknown(fleet) == {
            "west1": "the node has shown no certificate",
            "west2": "its certificate has ended",
            "west3": "its certificate is for the subcluster 'default'",
            "west4": "it is signed with a key that is not trusted here",
        }
        assert manager.session.joined.is_set()

    async def test_stranger_with_anothers_certificate_is_unknown(
        self, fleet: Fleet, keyring: Keyring, manager: Manager
    ) -> None:
        link, keys = manager.link, manager.keys
        await link.call("SET", keys.certificate("west1"), await link.call("GET", keys.certificate("east1")), "PX", 9000)
        await fleet.node("west1")
        assert await self.unknown(fleet) == {"west1": "its certificate is east1's"}
        # A record that another session of the node's has signed.
        record = json.loads(await link.call("HGET", keys.members, "east1"))
        stranger = {**record, "private_name": "#ec0-1-a#east1"}
        seat = b"#ec0-1-a#east1\teast1\tdefault\t1\t"
        verifier = MemberVerifier(ShownCertificates(link, keys), fleet.cluster, lambda: manager.authorities.keys)
        seats = Seat.parse(seat), Seat.parse(seat.replace(b"east1", b"n9"))
        assert await verifier.strangers((Member.parse(json.dumps(stranger)),), seats) == {
            "#ec0-1-a#east1": "its record was signed for another session",
            "#ec0-1-a#n9": "no member's record names its session",
        }


async def test_certificate_that_was_overwritten_is_shown_again(
    fleet: Fleet, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eccmgr.node.certificate._AGAIN_S", 0.2)
    manager = await fleet.manager(configuration=keyring.manager)
    await fleet.node("east1", configuration=keyring.node("east1"))
    await manager.link.call("SET", manager.keys.certificate("east1"), "junk", "PX", 60_000)

    async def answers() -> bool:
        return await fleet.lines("gather mark") == ["east1: marked"]

    await wait_until(answers, "its answers are believed again")
