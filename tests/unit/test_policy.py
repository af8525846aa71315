"""Roles: their users, and the commands that they allow."""

import pytest

from eccmgr.access.policy import Policy, groups_of_users
from eccmgr.text.patterns import Pattern


def policy(roles: dict[str, list[str]], users: dict[str, list[str]] | None = None, **more: object) -> Policy:
    patterns = {role: tuple(Pattern.parse(each, ignore_case=True) for each in allow) for role, allow in roles.items()}
    return Policy(patterns, groups_of_users(users or {}), **more)


def test_own_name_is_a_role_and_groups_are() -> None:
    made = policy({}, {"admin": ["tom", "scram:ann"], "ops": ["unix:tom"]})
    assert made.roles_of("tom") == ("tom", "admin", "ops")
    assert made.roles_of("scram:ann") == ("scram:ann", "admin")
    assert made.roles_of("ann") == ("ann",)


@pytest.mark.parametrize("user", ["", "anonymous", "uid 4711", "uid 0"])
def test_user_without_a_name_has_no_role(user: str) -> None:
    made = policy({user or "x": [".*"]}, {"admin": [user]})
    assert made.roles_of(user) == ()
    assert made.role_for(user, "version") is None


def test_user_of_another_kind_has_other_roles() -> None:
    made = policy({"root": [".*"], "admin": [".*"]}, {"admin": ["ann"]})
    assert made.role_for("root", "version") == "root"
    for stranger in ("scram:root", "cert:root", "node:root", "scram:ann"):
        assert made.role_for(stranger, "version") is None


def test_pattern_is_searched_without_case() -> None:
    made = policy({"tom": ["^CONFIG get", "summary$"]})
    assert made.role_for("tom", "config get cluster") == "tom"
    assert made.role_for("tom", "any summary") == "tom"
    assert made.role_for("tom", "broadcast config get x") is None


def test_carried_command_needs_a_role_of_its_own() -> None:
    made = policy({"tom": ["^gather ", "^uptime$"], "ann": ["^gather uptime$"], "ben": ["^gather .*"], "eve": ["e\\$"]})
    assert made.role_for("tom", "uptime", ("gather uptime",)) == "tom"
    assert made.role_for("tom", "shutdown", ("gather shutdown",)) is None
    assert made.role_for("ann", "uptime", ("gather uptime",)) == "ann"
    assert made.role_for("ann", "shutdown", ("gather shutdown",)) is None
    assert made.role_for("ben", "shutdown", ("gather shutdown",)) is None
    assert made.role_for("eve", "shutdown", ("gather shutdown",)) is None


def test_listener_and_carried_commands_are_limited_apart() -> None:
    assert [policy({}).limits(by) for by in (True, False, None)] == [True, False, False]
    assert [policy({}, everywhere=True).limits(by) for by in (True, False, None)] == [True, False, True]


def test_long_lines_do_not_fill_the_memory() -> None:
    made = policy({"tom": ["^say "]})
    assert made.role_for("tom", f"say {'x' * 60_000}") == "tom"
    assert made.role_for("tom", "pid", ("broadcast " + "x" * 60_000,)) is None
    assert made._known == {}
    assert made.role_for("tom", "pid") is None
    assert len(made._known) == 1
