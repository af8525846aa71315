"""`config set`, `unset`, transactions and `reload`: their answers, and the configuration that each session then
sees."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.config.live.parts import NOTHING, Prepared
from eccmgr.config.live.store import Proposal, Store
from eccmgr.config.schema.masking import MASK
from eccmgr.config.syntax.values import format_value
from eccmgr.errors import ListenError
from tests.unit.config.console import Console, Opened, write
from tests.unit.config.memory import MemoryFiles
from tests.unit.config.trees import names, texts, values


def in_memory(text: str = "") -> Console:
    store = Store("/a", files=MemoryFiles({"/a": text.encode()}))
    store.load()
    return Console(store)


@pytest.mark.parametrize(
    "typed",
    ["suspend_delivery true", "Suspend_Delivery = true", "suspend_delivery=true", "SUSPEND_DELIVERY =true",
     "suspend_delivery= true", 'suspend_delivery   =   "true"'],
)  # fmt: skip
def test_set_answers_the_option_as_now_set(manager: Console, typed: str) -> None:
    answer = manager.ok(f"config set {typed}")
    assert answer.replace('"', "") == "Suspend_Delivery = true"
    assert manager.ok("config get Suspend_Delivery") == answer


def test_set_keeps_the_replaced_values_quotes(manager: Console) -> None:
    assert manager.ok("config set ec_logger ec_logger heartbeat 5") == 'heartbeat = "5"'
    assert manager.ok("config set Logs max_open 7") == "max_open = 7"


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("x /var/log/a b", 'x = "/var/log/a b"'),
        ("x it's", None),
        ('x "a b"', 'x = "a b"'),
        ("x 'a b'", 'x = "a b"'),
        ("x ( a 'b )", None),
        ("x ( a, b )", "x = ( a b )"),
        ("x = [ k = v ]", "x = [ k = v ]"),
        ("x ( a b", None),
        ("x #1", 'x = "#1"'),
        ("x a # b", 'x = "a # b"'),
        ("x a = b", 'x = "a = b"'),
        ("x=b=c{ = 1", 'x = "b=c{ = 1"'),
        ("x a\\b", "x = a\\b"),
        ('x ""', 'x = ""'),
        ("x =", None),
        ("x", None),
        ("", None),
    ],
)
def test_the_value_of_set_is_all_that_follows(typed: str, answer: str | None) -> None:
    console = in_memory("x = 1")
    if answer is None:
        assert "x" not in console.refused(f"config set {typed}".strip()).split(". Usage")[0].split()
    else:
        assert console.ok(f"config set {typed}") == answer


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("control_listener timeout 5", "Control_Listener::Timeout"),
        ("control_listener listen /tmp/new timeout 5", "Control_Listener::Listen:/tmp/new:Timeout"),
        ("control_listener listen [::1]:2025 timeout=5", r"Control_Listener::Listen:[\:\:1]\:2025:Timeout"),
        ("datasource uri x", "Datasource::uri"),
        ("datasource new uri x", "Datasource:new:uri"),
        ("datasource uri uri x", "Datasource::uri"),
        ("datasource uri=x", "Datasource::uri"),
        ("auth_ds scheme ecauth querygroups cache x", "auth_ds::Scheme:ecauth:QueryGroups::cache"),
        ("auth_ds scheme other querygroups = x", "auth_ds::Scheme:other:querygroups"),
        ("auth_ds fresh = x", "auth_ds::fresh"),
        ("brand new option = [ a = b ]", "brand:new:option"),
        ("brand option = x", "brand::option"),
        ("brand [::1]:2025 option = x", r"brand:[\:\:1]\:2025:option"),
        ("brand = new option [ a = b ]", "brand"),
    ],
)
def test_path_of_set_is_read_with_options_first(manager: Console, typed: str, path: str) -> None:
    before = manager.store.live
    manager.ok(f"config set {typed}")
    (change,) = manager.store.unsaved()
    assert change.where == path
    assert manager.store.live is not before


def test_wrong_set_changes_nothing_and_says_the_expectation(manager: Console) -> None:
    assert manager.refused("config set cluster max_running many") == (
        "max_running is 'many', expected a whole number from 1 up to 10000"
    )
    assert manager.refused("config set cluster max_running ( 1 )").startswith("max_running is a list, expected")
    assert "expected a path or ADDRESS:PORT" in manager.refused("config set Control_Listener Listen nowhere Timeout 5")
    assert manager.store.unsaved() == []


def test_set_of_a_non_dynamic_option_says_so(manager: Console) -> None:
    assert manager.ok("config set cluster cluster_group other") == (
        "cluster_group = other\n# cluster_group takes effect after a restart"
    )


@pytest.mark.parametrize("typed", ["include = x", '"a b" = 1', '"" = 1', 'foo "x\x01y" z = 1', "x = a\x02b"])
def test_set_of_an_unwritable_value_is_refused(manager: Console, typed: str) -> None:
    manager.refused(f"config set {typed}")
    assert manager.store.unsaved() == []


def test_secrets_are_masked_and_masks_are_refused(manager: Console) -> None:
    assert manager.ok('config set Datasource ecdb uri ( "mysql:host=h;password=abc" )') == (
        f'uri = ( "mysql:host=h;password={MASK}" )'
    )
    assert "only hides" in manager.refused(f"config set Datasource ecdb uri x:password={MASK}")
    assert "abc" not in manager.refused("config set Password 'abc")


def test_unset_tells_what_holds_now(manager: Console) -> None:
    manager.ok("config set Message_Expiration 5")
    assert manager.ok("config unset message_expiration") == (
        '"Message_Expiration" has been unset. Effective value is now:\n        Message_Expiration = 86400'
    )
    manager.ok("config set other = 5")
    assert manager.ok("config unset other") == '"other" has been unset. It has no effective value now.'


def test_unset_of_something_not_set_says_so(manager: Console) -> None:
    assert manager.refused("config unset message_expiration") == "Option 'Message_Expiration' is not set in scope ''."
    assert manager.refused("config unset nonsense") == "Option 'nonsense' is not set in scope ''."
    assert manager.refused("config unset Datasource other") == "Option 'other' is not set in scope 'Datasource::'."
    manager.refused("config unset no such scope")


def test_unset_drops_a_scope_and_all_in_it(manager: Console) -> None:
    assert manager.ok("config unset Datasource ecdb") == 'Datasource "ecdb" has been unset.'
    manager.refused("config show Datasource ecdb")
    assert manager.ok("config unset auth_ds") == "auth_ds has been unset."
    manager.refused("config show auth_ds scheme ecauth")


def test_unset_refuses_global_scope_and_ambiguous_kind(manager: Console) -> None:
    for line in ('config unset ""', 'config unset "" ""'):
        assert manager.refused(line) == "The global scope cannot be unset"
    assert manager.refused("config unset") == "Usage: config unset [SCOPE [NAME]]… OPTION | SCOPE [NAME]"
    answer = manager.refused("config unset control_listener listen")
    assert answer == 'Which one? Name the scope to unset: Listen "/tmp/2025", Listen "127.0.0.1:2025"'


@given(st.lists(st.tuples(names, texts), max_size=2), names, values)
def test_what_was_set_is_what_get_answers(path: list[tuple[str, str]], option: str, value: object) -> None:
    console = in_memory()
    words = " ".join(f"{kind} {_typed(name)}" for kind, name in path)
    answer = console.reply(f"config set {words} {_typed(option)} = {format_value(value)}")  # type: ignore[arg-type]
    if answer.answer.status.value == "ok":
        assert console.ok(f"config get {words} {_typed(option)}") == answer.body.split("\n# ")[0]
    else:
        assert any(said in answer.body for said in ("expected", "one line", "No scope", "is locked")), answer.body


def _typed(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_only_its_session_sees_an_uncommitted_transaction(manager: Console) -> None:
    other = Console(manager.store, "bob")
    assert manager.ok("config begin") == "Transaction begun"
    manager.ok("config set blackhole on")
    manager.ok("config set cluster max_running 3")
    assert manager.ok("config eval blackhole") == "Blackhole = on"
    assert other.ok("config eval blackhole") == "Blackhole = 0"
    assert manager.ok("config commit") == "Committed 2 changes"
    assert other.ok("config eval blackhole") == "Blackhole = on"
    assert manager.refused("config commit") == "No transaction is open"


def test_rollback_drops_a_transaction(manager: Console) -> None:
    live = manager.store.live
    manager.ok("config begin")
    manager.ok("config set blackhole on")
    manager.ok("config unset Datasource ecdb")
    assert manager.ok("config rollback") == "Rolled back 2 commands"
    assert manager.store.live is live
    assert manager.refused("config rollback") == "No transaction is open"


def test_transaction_from_scratch_replaces_all_but_locked(console_on: Opened) -> None:
    locked = "cluster {\n  fence = none\n}"
    console = console_on({"a.conf": f"x = 1\nfoo {{ y = 1 }}\n{locked} cluster {{ max_jobs = 5 }}"})
    assert console.ok("config BEGIN From Scratch") == "Transaction begun from scratch"
    assert console.ok("config showrecurse") == locked
    console.ok("config set blackhole on")
    console.ok("config commit")
    assert console.ok("config showrecurse") == f"Blackhole = on\n{locked}"


def test_a_transaction_from_scratch_collides_with_every_change(manager: Console) -> None:
    manager.ok("config begin from scratch")
    Console(manager.store, "bob").ok("config set blackhole on")
    assert "  Blackhole was changed by bob" in manager.refused("config commit")
    assert manager.ok("config rollback") == "Rolled back 0 commands"


def test_replay_shows_typed_commands_without_secrets(manager: Console) -> None:
    manager.ok("config begin")
    manager.ok("config  set BLACKHOLE   = on")
    manager.refused("config set blackhole maybe")
    manager.ok('config set Datasource ecdb uri = ( "x:password=abc" )')
    manager.ok("config unset BLACKHOLE")
    assert manager.ok("config replay").splitlines() == [
        "config  set BLACKHOLE   = on",
        f"config set Datasource ecdb uri = {MASK}",
        "config unset BLACKHOLE",
    ]
    revealing = Console(manager.store, reveal=True)
    revealing.session = manager.session
    assert "abc" in revealing.ok("config replay")


def test_second_concurrent_transaction_learns_what_and_who(manager: Console) -> None:
    other = Console(manager.store, "bob")
    for console in (manager, other):
        console.ok("config begin")
        console.ok(f"config set cluster max_running {3 if console is other else 4}")
    manager.ok("config set blackhole on")
    other.ok("config commit")
    answer = manager.refused("config commit")
    assert answer == ("Conflict: another transaction was committed first\n  cluster::max_running was changed by bob")
    assert manager.ok("config eval cluster max_running") == "max_running = 4"
    manager.ok("config rollback")
    assert manager.ok("config eval cluster max_running") == "max_running = 3"
    assert manager.ok("config eval blackhole") == "Blackhole = 0"


def test_transactions_that_touch_different_options_both_hold(manager: Console) -> None:
    other = Console(manager.store, "bob")
    manager.ok("config begin")
    other.ok("config begin")
    manager.ok("config set blackhole on")
    other.ok("config set suspend_delivery on")
    manager.ok("config commit")
    other.ok("config commit")
    assert manager.ok("config get blackhole") == "Blackhole = on"
    assert manager.ok("config get suspend_delivery") == "Suspend_Delivery = on"


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ("unset Datasource ecdb", "set Datasource ecdb cache_life 5"),
        ("set Datasource ecdb cache_life 5", "unset Datasource ecdb"),
        ("unset auth_ds", "unset auth_ds scheme ecauth"),
    ],
)
def test_dropped_scope_collides_with_changes_in_it(manager: Console, mine: str, theirs: str) -> None:
    manager.ok("config begin")
    manager.ok(f"config {mine}")
    Console(manager.store, "bob").ok(f"config {theirs}")
    assert "was changed by bob" in manager.refused("config commit")


def test_only_possible_collisions_are_remembered(manager: Console) -> None:
    for number in range(50):
        manager.ok(f"config set blackhole {number % 2}")
    assert manager.store._log == []
    other = Console(manager.store)
    other.ok("config begin")
    manager.ok("config set blackhole on")
    assert len(manager.store._log) == 1
    other.ok("config rollback")
    assert manager.store._log == []


def test_failed_change_leaves_the_transaction_open(manager: Console) -> None:
    async def refuse(_proposal: Proposal) -> Prepared:
        raise ListenError("Cannot listen on 127.0.0.1:1: Permission denied")

    manager.ok("config begin")
    manager.ok("config set control_listener listen 127.0.0.1:1 enable true")
    manager.store.on_change = refuse
    live = manager.store.live
    assert manager.refused("config commit") == "Cannot listen on 127.0.0.1:1: Permission denied"
    assert manager.store.live is live
    assert len(manager.ok("config replay").splitlines()) == 1
    manager.store.on_change = None
    assert manager.ok("config commit") == "Committed 1 change"


def test_change_listener_sees_old_and_new_values(manager: Console) -> None:
    told: list[Proposal] = []

    async def tell(proposal: Proposal) -> Prepared:
        told.append(proposal)
        return NOTHING

    manager.store.on_change = tell
    manager.ok("config set cluster max_running 3")
    manager.ok("config set cluster max_running 3")
    (proposal,) = told
    assert proposal.before.scope("cluster").integer("max_running") == 8
    assert proposal.after.scope("cluster").integer("max_running") == 3
    assert [change.where for change in proposal.changes] == ["cluster::max_running"]
    assert proposal.user == "alice"


def test_reload_rereads_files_and_reports_dropped_changes(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "x = 1"})
    assert console.ok("config reload") == "Reconfigured"
    console.ok("config set y = 2")
    write(tmp_path, {"a.conf": "x = 3"})
    assert console.ok("config reload") == "Reconfigured; 1 unsaved change dropped"
    assert console.ok("config showrecurse") == "x = 3"
    console.ok("config set y = 2")
    console.ok("config set z = 2")
    assert console.ok("config reload") == "Reconfigured; 2 unsaved changes dropped"


def test_faulty_reload_changes_nothing_and_shows_all_faults(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "x = 1"})
    console.ok("config set y = 2")
    live = console.store.live
    path = write(tmp_path, {"a.conf": "x = \n}\ncluster { max_running = no }"})
    assert console.refused("config reload") == (
        "Reconfigure failed\n"
        f"{path}:2:1: found '}}', expected a value for 'x'\n"
        f"{path}:2:1: '}}' closes no scope, expected the name of an option or a scope\n"
        f"{path}:3:25: max_running is 'no', expected a whole number from 1 up to 10000"
    )
    assert console.store.live is live
    assert console.ok("config get y") == "y = 2"


def test_a_reload_that_cannot_be_applied_changes_nothing(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "x = 1"})

    async def refuse(_proposal: Proposal) -> Prepared:
        raise ListenError("Cannot listen on /x: in use")

    console.store.on_change = refuse
    write(tmp_path, {"a.conf": "x = 2"})
    assert console.refused("config reload") == "Reconfigure failed\nCannot listen on /x: in use"
    assert console.ok("config get x") == "x = 1"


def test_a_reload_is_refused_inside_a_transaction(manager: Console) -> None:
    manager.ok("config begin")
    assert manager.refused("config reload") == "A transaction is open; commit or rollback it before a reload"
    assert manager.refused("config begin") == "A transaction is open already; commit or rollback it first"


def test_reload_of_another_path_makes_it_main(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "x = 1", "b.conf": "x = 2"})
    assert console.ok("config reload b.conf") == "Reconfigured"
    assert console.ok("config get x") == "x = 2"
    assert console.refused(f"config reload {tmp_path}/none").startswith("Reconfigure failed\n")
    assert console.ok("config reload") == "Reconfigured"


def test_reload_collides_with_anothers_open_transaction(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "x = 1"})
    console.ok("config begin")
    console.ok("config set x = 5")
    write(tmp_path, {"a.conf": "x = 2"})
    Console(console.store, "bob").ok("config reload")
    assert "  x was changed by bob" in console.refused("config commit")
