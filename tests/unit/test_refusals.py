"""Each error reply has one class: it passes by itself, an operator must act, or it is a fault of ours."""

import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError

from eccmgr.redis.refusals import refusal_at_connecting, refusal_of

_IN_SCRIPT = " script: 1f8f4cfba6f3375f8c4ec02b9de4361a5dea5c64, on @user_script:1."

SOON = [
    ("LOADING Redis is loading the dataset in memory", "LOADING"),
    ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "BUSY"),
    ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "MASTERDOWN"),
    ("CLUSTERDOWN Hash slot not served", "CLUSTERDOWN"),
    ("TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN"),
    ("ASK 3999 127.0.0.1:6381", "ASK"),
    ("MOVED 3999 127.0.0.1:6381", "MOVED"),
    ("ERR Script attempted to access a non local key in a cluster node script: 1f8f, on @user_script:1.", "ASK"),
    ("ERR max number of clients reached", "CLIENTS"),
    ("READONLY You can't write against a read only replica." + _IN_SCRIPT, "READONLY"),
    ("READONLY Can not execute script with write flag on readonly replica.", "READONLY"),
    ("NOREPLICAS Not enough good replicas to write." + _IN_SCRIPT, "NOREPLICAS"),
    ("OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
    ("OOM command not allowed when used memory > 'maxmemory'. script: on @user_script:1.", "OOM"),
    ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", "MISCONF"),
    ("MISCONF Errors writing to the AOF file: No space left on device", "MISCONF"),
    ("ERR Script killed by user with SCRIPT KILL." + _IN_SCRIPT, "KILLED"),
]
ACT = [
    ("NOPERM this user has no permissions to run the 'eval' command", "NOPERM"),
    ("NOPERM No permissions to access a channel", "NOPERM"),
    ("ERR The user executing the script can't run this command or subcommand" + _IN_SCRIPT, "NOPERM"),
    ("ERR ACL failure in script: No permissions to access a key script: on @user_script:1.", "NOPERM"),
    ("NOAUTH Authentication required.", "NOAUTH"),
    ("WRONGPASS invalid username-password pair or user is disabled.", "WRONGPASS"),
    ("ERR invalid password", "WRONGPASS"),
    ("DENIED Redis is running in protected mode because protected mode is enabled", "DENIED"),
    ("ERR unknown command 'EVALSHA', with args beginning with: ", "UNKNOWN"),
    ("ERR Unknown Redis command called from script" + _IN_SCRIPT, "UNKNOWN"),
    ("ERR Unknown command called from script script: on @user_script:1.", "UNKNOWN"),
    ("ERR Protocol error: invalid bulk length", "PROTOCOL"),
    ("ERR This instance has cluster support disabled", "MODE"),
    ("ERR DB index is out of range", "DB"),
]
OURS = [
    "ERR user_script:1: attempt to concatenate a nil value" + _IN_SCRIPT,
    "WRONGTYPE Operation against a key holding the wrong kind of value" + _IN_SCRIPT,
    "NOSCRIPT No matching script. Please use EVAL.",
    "ERR wrong number of arguments for 'hset' command",
]


@pytest.mark.parametrize(("reply", "code", "soon"), [(*each, True) for each in SOON] + [(*each, False) for each in ACT])
def test_refusal_says_whether_it_passes_and_the_remedy(reply: str, code: str, soon: bool) -> None:
    kind = refusal_of(BaseParser.parse_error(reply))  # type: ignore[no-untyped-call]
    assert kind is not None
    assert (kind.code, kind.soon) == (code, soon)
    assert kind.why
    assert kind.remedy
    assert "user_script" not in kind.why


@pytest.mark.parametrize("reply", OURS)
def test_a_fault_of_a_script_is_no_refusal(reply: str) -> None:
    assert refusal_of(BaseParser.parse_error(reply)) is None  # type: ignore[no-untyped-call]


def test_reason_of_a_script_comes_without_its_place() -> None:
    for reply, code in ACT[2:4]:
        kind = refusal_of(BaseParser.parse_error(reply))  # type: ignore[no-untyped-call]
        assert kind is not None
        assert reply.removeprefix("ERR ").startswith(kind.why), code
        assert len(kind.why) > 50


def test_silence_is_no_refusal() -> None:
    for error in (RedisConnectionError("Connection closed by server"), TimeoutError(), OSError(2, "none")):
        assert refusal_of(error) is None
        assert refusal_at_connecting(error) is None


def test_whatever_a_server_says_at_connecting_refuses_all() -> None:
    for reply in ("ERR syntax error", "NOPERM no permission to run the 'hello' command", "WRONGTYPE"):
        kind = refusal_at_connecting(BaseParser.parse_error(reply))  # type: ignore[no-untyped-call]
        assert kind is not None
        assert kind.whole


def test_script_refused_midway_may_have_run_partly() -> None:
    for reply, partly in (("ERR The user executing the script can't publish" + _IN_SCRIPT, True), (SOON[12][0], False)):
        kind = refusal_of(BaseParser.parse_error(reply))  # type: ignore[no-untyped-call]
        assert kind is not None
        assert kind.partly is partly
