"""Who somebody is and what he may do: signing in, verifiers, routes of consoles, roles, lines of the account."""

import base64
import json
import re

from eccmgr.access.accounts import AUTHORIZATION, AccountLine
from eccmgr.access.policy import Policy, groups_of_users
from eccmgr.access.verifiers import MECHANISM, Verifier, Verifiers, is_user
from eccmgr.commands.normal_form import normal_form
from eccmgr.config.files.groupfile import read_groups
from eccmgr.control.authentication import ATTEMPTS_MAX, SignIn
from eccmgr.control.client.dialing import Route
from eccmgr.errors import SettingsError, UsageError
from eccmgr.text.patterns import Pattern, PatternError
from eccmgr.text.unseen import first_unseen
from tests.fuzz.target import fuzzed, in_two, text_of

_VERIFIERS = Verifiers({"tom": Verifier(b"s" * 16, b"k" * 32, b"v" * 32, 4096)}, b"secret")
_LINE = f"tom:{_VERIFIERS.users['tom']}"


@fuzzed(
    words=(
        *(
            b"\n",
            b'"mechanism":"SCRAM-SHA-256"',
            b'"user":"tom"',
            b'"data":"',
            b"n,,n=tom,r=abc",
            b"bixzPXRvbSxyPWFiYw==",
        ),
        *(b"p=tls-server-end-point,,", b"y,,", b"n,a=root,", b"c=biws,r=", b",p=", b"\\u0000", b"{}", b"null"),
    )
)
def sign_in(data: bytes) -> None:
    """However the frames of a sign-in follow each other, nobody is let in without the password."""
    for binding in (None, b"\0" * 32):
        exchange = SignIn(lambda: _VERIFIERS, binding)
        for frame in data.split(b"\n")[: 2 * ATTEMPTS_MAX]:
            _check(exchange, frame)
            # The same text in a well-formed frame reaches the reader of the mechanism.
            said = {"mechanism": MECHANISM, "user": "tom", "data": base64.b64encode(frame).decode()}
            _check(exchange, json.dumps(said).encode())
        assert exchange.claimed == "" or is_user(exchange.claimed)


def _check(exchange: SignIn, frame: bytes) -> None:
    step = exchange.take(frame)
    assert step.user is None
    answer = json.loads(step.payload)
    assert step.failed == (answer.get("ok") is False)


@fuzzed(ValueError, words=(_LINE.encode(), b"tom:", b"SCRAM-SHA-256$4096:", b"$", b":", b"#", b"\n", b"1_0", b"=="))
def verifiers_file(data: bytes) -> None:
    """Each verifier is written back as it was, and its user can stand in the account."""
    found = Verifiers.parse(data)
    for user, verifier in found.users.items():
        assert is_user(user)
        assert Verifier.parse(str(verifier)) == verifier
    assert found.of("nobody") == found.of("nobody")


@fuzzed(SettingsError, words=(b"tls://", b"ssh://", b"tom@", b"127.0.0.1:2025", b"[::1]:1", b"/", b"-oProxyCommand=x"))
def console_route(data: bytes) -> None:
    """A route is written back as it was, and no word of it is an option of ssh."""
    route = Route.parse(text_of(data))
    assert not route.ssh.startswith("-")
    if route.endpoint.path is None:
        assert Route.parse(str(route)) == route


@fuzzed(UsageError, PatternError, words=(b"\0", b"^config get$", b"broadcast ", b"json ", b".*", b"(?i)", b"\\$", b"$"))
def role_patterns(data: bytes) -> None:
    """A command that is carried is allowed by its own form, or by a pattern that says all of its carrier."""
    written, line = map(text_of, in_two(data))
    pattern, form = Pattern.parse(written, ignore_case=True), normal_form(line)
    policy = Policy({"admin": (pattern,)}, {"tom": ("admin",)}, everywhere=True)
    assert policy.role_for("nobody", str(form)) is None
    allowed = policy.role_for("tom", str(form))
    assert (allowed == "admin") == pattern.is_in(str(form))
    assert policy.role_for("tom", str(normal_form(str(form)))) == allowed


@fuzzed(words=(b"admin:", b":x:", b"unix:tom", b"scram:tom", b"cert:", b"node:east1", b",", b"\n", b"anonymous"))
def role_groups(data: bytes) -> None:
    """Users of one kind never have the roles of another kind's user of the same name."""
    groups = read_groups("f", data)
    known = groups_of_users(groups.users)
    policy = Policy(groups=known)
    assert policy.roles_of("anonymous") == policy.roles_of("uid 1000") == ()
    for name in known:
        if ":" not in name and policy.roles_of(name):
            assert all(
                name in users or f"unix:{name}" in users for users in map(groups.users.get, known[name]) if users
            )


@fuzzed(words=(b"\0", b"@", b"\\", b"\n", b"\x1b[2J", "\u202e".encode(), b"root"))
def account_line(data: bytes) -> None:
    """A line of the account is one line with as many fields as it has, whatever stands in them."""
    fields = [text_of(field) for field in data.split(b"\0", 5)][:5]
    listener, peer, user, command, role = [*fields, *[""] * (5 - len(fields))]
    line = AccountLine(AUTHORIZATION, listener, peer, user, 1, command, role).at(1.0)
    assert len(line.splitlines()) == 1
    assert not first_unseen(line)
    assert re.sub(r"\\.", "", line).count("@") == 6 + bool(role)
