"""A node remembers the commands that it took, and reads messages off the wire."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.node.claims import Claims, Run
from eccmgr.node.messages import Message, Withdrawal

FIELDS = {
    "id": "01KB3ZC0WV9Y",
    "text": "pid",
    "issuer": "root",
    "view": 3,
    "ttl": 60_000,
    "channel": "all",
    "entry": "1-0",
    "before": "0-0",
}


class TestClaims:
    def test_a_command_is_taken_once(self) -> None:
        claims = Claims()
        assert claims.take("a", 0.0, 60.0)
        assert not claims.take("a", 59.0, 60.0)

    def test_it_is_remembered_for_its_time(self) -> None:
        claims = Claims()
        claims.take("a", 0.0, 60.0)
        assert not claims.take("a", 59.0, 60.0)
        assert claims.take("a", 61.0, 60.0)

    @given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 30)), max_size=40))
    def test_repeats_within_their_time_are_ignored(self, heard: list[tuple[str, float]]) -> None:
        claims, now = Claims(), 0.0
        taken: dict[str, float] = {}
        for command_id, pause in heard:
            now += pause
            if claims.take(command_id, now, 60.0):
                assert command_id not in taken or now - taken[command_id] >= 60.0
                taken[command_id] = now

    def test_memory_is_bounded(self) -> None:
        claims = Claims()
        for number in range(100_100):
            assert claims.take(str(number), 0.0, 60.0)
        assert not claims.take("100099", 1.0, 60.0)
        assert claims.take("0", 1.0, 60.0)


class TestWithdrawal:
    @pytest.mark.parametrize(
        "raw",
        [
            b'{"abort":',
            b'{"abort":"x"}',
            b'{"abort":"x","channel":"all","entry":"1-0","before":7}',
            b'{"abort":"x","channel":"all","entry":"99999999999999999999-0","before":"0-0"}',
        ],
    )
    def test_broken_record_is_a_value_error_only(self, raw: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            Withdrawal.parse(raw)


class TestMessage:
    def test_waiting_time_counts_from_hearing_the_command(self) -> None:
        message = Message.parse(json.dumps(FIELDS).encode(), 1000.0)
        assert (message.id, message.text, message.issuer, message.view) == ("01KB3ZC0WV9Y", "pid", "root", 3)
        assert message.begin_by == 1060.0

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"\xff",
            b"{",
            b"[]",
            b"7",
            b"null",
            b'"text"',
            json.dumps({**FIELDS, "ttl": None}).encode(),
            json.dumps({**FIELDS, "view": "x"}).encode(),
            *(json.dumps({k: v for k, v in FIELDS.items() if k != left}).encode() for left in ("id", "text", "view")),
            b"[" * 100_000,
            json.dumps({**FIELDS, "ttl": 1e999}).encode(),
        ],
    )
    def test_broken_record_is_a_value_error_only(self, raw: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            Message.parse(raw, 0.0)


class TestRun:
    @pytest.mark.asyncio
    async def test_withdrawing_twice_ends_a_run_once(self) -> None:
        run = Run()

        async def carry_out() -> None:
            async with asyncio.timeout(3600) as run.scope:
                run.withdraw()
                run.withdraw()
                try:
                    await asyncio.Event().wait()
                finally:
                    run.withdraw()

        with pytest.raises(TimeoutError):
            await carry_out()
        run.withdraw()
        assert run.withdrawn
