"""Options that decide what may run change only in files, whatever path a change takes."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.config.live.store import Store
from eccmgr.config.schema.completion import candidates
from eccmgr.config.schema.reference import help_text, reference_page
from eccmgr.config.schema.spec import Naming, OptionSpec, ScopeSpec
from eccmgr.config.schema.types import OptionType
from eccmgr.config.syntax.faults import FaultyConfigError
from eccmgr.errors import LockedOption
from eccmgr.modules.catalogue import Catalogue, installed
from tests.unit.config.console import Console
from tests.unit.config.memory import MemoryFiles

SCHEMA = installed().schema
NAMES = {OptionType.NETWORK: "10.1.1.0/24", OptionType.ENDPOINT: "127.0.0.1:25"}
VALUES = {
    OptionType.BOOLEAN: "true",
    OptionType.INTEGER: "24",
    OptionType.SECONDS: "7",
    OptionType.BYTES: "2000",
    OptionType.MODE: "0666",
    OptionType.ENDPOINT: '"/tmp/x"',
    OptionType.SYNC: "always",
    OptionType.DICTIONARY: '[ id = "/usr/bin/id" ]',
}


class Locked(NamedTuple):
    """A locked option: the scopes around it, each with a name if it needs one, and a value for it."""

    steps: tuple[tuple[str, str], ...]
    option: str
    value: str

    def typed(self, option: str = "") -> str:
        """The words that name this option on a console."""
        words = [word for kind, name in self.steps for word in (kind, f'"{name}"') if word != '""']
        return " ".join([*words, option or self.option])

    def written(self) -> str:
        """The text that sets this option in a file."""
        heads = [f'{kind} "{name}" {{ ' if name else f"{kind} {{ " for kind, name in self.steps]
        return f"{''.join(heads)}{self.option} = {self.value}{' }' * len(heads)}\n"


def all_locked(scope: ScopeSpec, steps: tuple[tuple[str, str], ...] = (), *, around: bool = False) -> Iterator[Locked]:
    locked = around or scope.locked
    for option in scope.options:
        if locked or option.locked:
            yield Locked(steps, option.name, VALUES.get(option.type, "x"))
    for inner in scope.scopes:
        name = "" if inner.naming is Naming.NEVER else NAMES.get(inner.name_type or OptionType.TEXT, "one")
        yield from all_locked(inner, (*steps, (inner.name, name)), around=locked)


LOCKED = list(all_locked(SCHEMA))
locked_options = pytest.mark.parametrize("locked", LOCKED, ids=[each.typed().replace('"', "") for each in LOCKED])


def console_on(text: str = "", **more: str) -> tuple[Console, MemoryFiles]:
    files = {"/c/main.conf": text.encode(), **{f"/c/{name}.conf": other.encode() for name, other in more.items()}}
    memory = MemoryFiles(files)
    store = Store("/c/main.conf", files=memory, schema=SCHEMA)
    store.load()
    return Console(store), memory


def is_refused(console: Console, line: str) -> bool:
    return " is locked: change it in /c/main.conf or a file that it includes" in console.refused(line)


def test_locked_options_are_these() -> None:
    scopes = {scope.name for scope in SCHEMA.scopes if scope.locked}
    assert scopes >= {"Authorization", "Security", "exec"}
    assert {each.typed().replace('"', "") for each in LOCKED if each.steps and each.steps[0][0] not in scopes} >= {
        *(f"Control_Listener {option}" for option in ("AuthScramParameters", "AuthorizationParameters")),
        *(
            f"Control_Listener {listen}{option}"
            for listen in ("", "Listen 127.0.0.1:25 ")
            for option in ("File_Mode", "Enable_Authentication", "Enable_Authorization", "Insecure")
        ),
        *(
            f"Control_Listener {listen}TLS_{option}"
            for listen in ("", "Listen 127.0.0.1:25 ")
            for option in ("Certificate", "Key", "Client_CA")
        ),
        *(f"Control_Listener Listen 127.0.0.1:25 Peer 10.1.1.0/24 Always_{rule}" for rule in ("Allow", "Deny")),
        *(f"cluster {option}" for option in ("trusted_managers", "signing_key", "certificate")),
        *(f"cluster {option}" for option in ("node_authorities", "node_certificates")),
        *(f"cluster {option}" for option in ("plumber", "plumber_program", "fence")),
        *(f"cluster Topology 10.1.1.0/24 {option}" for option in ("interface", "cidrmask")),
        *(f"ec_logger one {log}" for log in ("mainlog", "paniclog", "acctlog", "rejectlog")),
        *(f"Logs {option}" for option in ("logfile", "control_cache", "file_mode", "dir_mode")),
        "as_logger one base_dir",
        *(f"Logs {kind} one logfile" for kind in ("Manager", "Node")),
        "cluster logs",
        "ecelerity one control",
        "sieve one script_dir",
    }
    assert {each.option for each in LOCKED if not each.steps} >= {"Local_Changes_File", "Local_Changes_Only"}


@locked_options
def test_no_console_command_sets_a_locked_option(locked: Locked) -> None:
    console, _ = console_on()
    typed, value = locked.typed(), locked.value
    lines = (f"{typed} = {value}", f"{typed.upper()} {value}", f"{locked.typed(locked.option.lower())}={value}")
    for line in (*lines, f"{locked.typed(chr(34) + locked.option + chr(34))} = {value}"):
        assert is_refused(console, f"config set {line}")
    console.ok("config begin")
    assert is_refused(console, f"config set {lines[0]}")
    console.ok("config set blackhole on")
    console.ok("config commit")
    assert console.ok("config showrecurse") == "Blackhole = on"


@locked_options
def test_no_console_command_unsets_a_locked_option(locked: Locked) -> None:
    console, memory = console_on(locked.written())
    before = console.ok("config showrecurse")
    assert is_refused(console, f"config unset {locked.typed()}")
    words = [word for kind, name in locked.steps for word in (kind, f'"{name}"') if word != '""']
    for end in range(1, len(words) + 1):
        console.refused(f"config unset {' '.join(words[:end])}")
    for begin in ("config begin", "config begin from scratch"):
        console.ok(begin)
        assert is_refused(console, f"config unset {locked.typed()}")
        console.ok("config commit")
    assert console.ok("config showrecurse") == before
    assert memory.contents["/c/main.conf"].decode() == locked.written()


@locked_options
def test_no_scope_around_gives_it_a_value(locked: Locked) -> None:
    console, _ = console_on()
    for depth in range(len(locked.steps)):
        around = locked._replace(steps=locked.steps[:depth])
        assert is_refused(console, f"config set {around.typed()} = {locked.value}")


@locked_options
def test_another_file_does_not_change_it(locked: Locked) -> None:
    console, memory = console_on(other=locked.written())
    assert is_refused(console, "config reload other.conf")
    memory.contents["/c/main.conf"] = locked.written().encode()
    memory.contents["/c/other.conf"] = b""
    if locked.option != "Local_Changes_File":
        assert console.ok("config reload") == "Reconfigured"
        assert is_refused(console, "config reload other.conf")


@locked_options
def test_local_changes_do_not_change_it(locked: Locked) -> None:
    console, memory = console_on('Local_Changes_File = "local.conf"\n', local=f"x = 1\n{locked.written()}")
    without, _ = console_on('Local_Changes_File = "local.conf"\n')
    assert locked_values(console) == locked_values(without)
    (ignored,) = console.store.loaded.ignored
    assert ignored.startswith("/c/local.conf:2:")
    assert "locked" in ignored
    assert ignored.endswith(" is ignored in the Local_Changes_File")
    console.ok("config set x = 2")
    assert console.ok("config writeback") == "Wrote 1 change to /c/local.conf"
    assert console.ok("config reload") == "Reconfigured"
    assert locked_values(console) == locked_values(without)
    assert memory.contents["/c/local.conf"].decode().startswith("x = 2")


@locked_options
def test_file_that_others_write_does_not_set_it(locked: Locked) -> None:
    console, memory = console_on("include open.conf", open="x = 1")
    memory.open_to_others.add("/c/open.conf")
    assert console.ok("config reload") == "Reconfigured"
    memory.contents["/c/open.conf"] = locked.written().encode()
    refusal = console.refused("config reload")
    assert "/c/open.conf:1:" in refusal
    assert "locked, and not taken from a file if others than root may write it" in refusal


@locked_options
def test_the_main_file_changes_it(locked: Locked) -> None:
    console, memory = console_on("include more.conf", more="")
    if locked.option != "Local_Changes_File":
        memory.contents["/c/more.conf"] = locked.written().encode()
        assert console.ok("config reload") == "Reconfigured"
        assert console.ok(f"config get {locked.typed()}")


words = st.lists(
    st.one_of(
        st.sampled_from([word for each in LOCKED for word in each.typed().split()]),
        st.sampled_from(["=", "x", "begin", "from", "scratch", "[ a = b ]", "cluster", "Topology", "LOGS", "exec"]),
    ),
    max_size=6,
)


@given(st.lists(st.tuples(st.sampled_from(["set", "unset", "begin", "commit", "reload", "writeback"]), words)))
def test_no_line_of_commands_changes_what_is_locked(lines: list[tuple[str, list[str]]]) -> None:
    console, _ = console_on("".join(each.written() for each in LOCKED if each.steps))
    before = locked_values(console)
    for command, more in lines:
        console.reply(f"config {command} {' '.join(more)}")
    console.reply("config commit")
    assert locked_values(console) == before


def locked_values(console: Console) -> list[object]:
    view, found = console.store.view(), []
    for each in LOCKED:
        scope = view
        for kind, name in each.steps:
            scope = scope.scope(kind, name or None)
        effective = scope.effective(each.option)
        found.append(effective.value if effective else None)
    return found


# The ways around it.


def test_open_file_in_a_locked_scope_is_refused() -> None:
    memory = MemoryFiles({"/c/main.conf": b'exec "x" { include open.conf }', "/c/open.conf": b"commands = [ a = id ]"})
    memory.open_to_others.add("/c/open.conf")
    with pytest.raises(FaultyConfigError, match=r"open\.conf:1:1: commands is locked"):
        Console(opened(memory))


def test_an_open_file_lends_no_includes() -> None:
    files = {"main": b"include open.conf", "open": b"include roots.conf", "roots": b"cluster { fence = none }"}
    memory = MemoryFiles({f"/c/{name}.conf": text for name, text in files.items()})
    memory.open_to_others.add("/c/open.conf")
    with pytest.raises(FaultyConfigError, match=r"roots\.conf:1:11: fence is locked"):
        opened(memory)


def opened(memory: MemoryFiles) -> Store:
    store = Store("/c/main.conf", files=memory, schema=SCHEMA)
    store.load()
    return store


def test_local_listener_is_not_stripped_of_its_access() -> None:
    for access in ("Enable_Authentication = on", 'Peer "10.0.0.0/8" { Always_Deny = on }'):
        local = f'Control_Listener {{ Timeout = 5  Listen "127.0.0.1:25" {{ {access} }} }}'
        console, _ = console_on('Local_Changes_File = "local.conf"', local=local)
        assert console.ok("config show Control_Listener") == "Timeout = 5"


@pytest.mark.parametrize(
    ("listen", "added", "lacking"),
    [
        ('Listen "/a" { Enable_Authentication = on }', "/b Timeout = 5", "Enable_Authentication"),
        ('Listen "/a" { Enable_Authorization = on }', "127.0.0.1:25 Timeout = 5", "Enable_Authorization"),
        ('Listen "/a" { File_Mode = 0600 }', "/b Timeout = 5", "File_Mode"),
        ('Listen "[::1]:25" { Peer "::1/128" { Always_Deny = on } }', "127.0.0.1:25 Timeout = 5", "Peer"),
        (
            'Listen "127.0.0.1:1" { }  Listen "0.0.0.0:2" { Enable = off Insecure = on }',
            "0.0.0.0:2 Enable on",
            "Insecure",
        ),
        ('Listen "127.0.0.1:1" { TLS_Certificate = a TLS_Key = b }', "127.0.0.1:2 Enable on", "TLS_Certificate"),
    ],
)
def test_added_listener_is_no_way_around_the_others(listen: str, added: str, lacking: str) -> None:
    console, _ = console_on(f"Control_Listener {{ {listen} }}")
    refusal = f"would be more open than the other listeners ({lacking}), which is locked"
    assert refusal in console.refused(f"config set Control_Listener Listen {added}")
    everywhere, _ = console_on("Control_Listener { Enable_Authentication = on  Listen '/a' { } }".replace("'", '"'))
    everywhere.ok("config set Control_Listener Listen /b Timeout 5")


def test_disabled_listener_still_demands_its_access() -> None:
    console, _ = console_on('Control_Listener { Listen "/a" { Enable_Authentication = on }  Listen "127.0.0.1:1" { } }')
    console.ok('config set Control_Listener Listen "/a" Enable off')
    refusal = console.refused('config set Control_Listener Listen "/b" Timeout 5')
    assert "more open than the other listeners (Enable_Authentication)" in refusal


def test_local_changes_include_nothing() -> None:
    console, _ = console_on('Local_Changes_File = "local.conf"', local="include more.conf\n", more="x = 1")
    assert console.store.loaded.ignored == ["/c/local.conf:1:1: an include is ignored in the Local_Changes_File"]
    console.refused("config get x")


def test_local_changes_are_not_included_too() -> None:
    with pytest.raises(FaultyConfigError, match="is included too, and has locked options"):
        console_on('Local_Changes_File = "local.conf"\ninclude local.conf', local="cluster { fence = none }")


def test_scopes_appear_and_vanish_only_in_files() -> None:
    console, _ = console_on('exec "x" { }\nfoo { y = 1 }')
    assert is_refused(console, "config unset exec x")
    assert is_refused(console, 'config set exec "y" nonsense = 1')
    assert is_refused(console, "config set Security x y = 1")
    console.ok("config begin from scratch")
    console.ok("config commit")
    assert console.ok("config showrecurse") == 'exec "x" {\n}'


@pytest.mark.parametrize(
    "line",
    [
        "Security = root",
        "exec = x",
        "Topology 10.0.0.0/8 interface = lo",
        "Control_Listener Peer ::/0 Always_Allow = on",
    ],
)
def test_no_name_of_a_locked_scope_is_taken(line: str) -> None:
    console, _ = console_on()
    assert is_refused(console, f"config set {line}")


def test_the_refusal_names_option_and_file() -> None:
    console, _ = console_on()
    assert console.refused('config set exec "x" commands [ id = "/usr/bin/id" ]') == (
        "exec:x:commands is locked: change it in /c/main.conf or a file that it includes, then config reload"
    )
    assert str(LockedOption("exec:x:commands", None)) == (
        "exec:x:commands is locked: it changes only in files, and this process was started without one (-c FILE)"
    )


def test_force_does_not_undo_a_lock_on_disk() -> None:
    console, memory = console_on("x = 1\ncluster { fence = none }")
    console.ok("config set x = 2")
    memory.contents["/c/main.conf"] = b"x = 1\ncluster { fence = auto }"
    refusal = console.refused("config writeback --force")
    assert "cluster::fence was changed, which is locked; nothing was written" in refusal
    assert memory.contents["/c/main.conf"] == b"x = 1\ncluster { fence = auto }"


def test_a_module_locks_options_of_its_own() -> None:
    spec = ScopeSpec("acme", "a module", options=(OptionSpec("path", OptionType.PATH, None, "x", locked=True),))
    store = Store("/c/main.conf", files=MemoryFiles({"/c/main.conf": b""}), schema=ScopeSpec("", "", scopes=(spec,)))
    store.load()
    assert is_refused(Console(store), "config set acme path /etc")


def test_scope_of_a_lost_module_is_locked() -> None:
    schema = Catalogue({}, {"acme": "ImportError: no such thing"}).schema
    store = Store("/c/main.conf", files=MemoryFiles({"/c/main.conf": b""}), schema=schema)
    store.load()
    assert is_refused(Console(store), "config set acme one commands = [ a = b ]")


def test_completion_offers_nothing_locked_to_set() -> None:
    console, _ = console_on('exec "x" { }\nLogs { logfile = "/x" }')
    assert "Security" not in candidates("set", [""], console.store.live, SCHEMA)
    assert "logfile" not in candidates("set", ["Logs", ""], console.store.live, SCHEMA)
    assert "logfile" in candidates("get", ["Logs", ""], console.store.live, SCHEMA)
    assert "exec" not in candidates("set", [""], console.store.live, SCHEMA)


def test_help_and_reference_name_what_is_locked() -> None:
    assert "  locked: changes only in files" in help_text(("cluster", "fence"), SCHEMA)
    assert "  locked: changes only in files" in help_text(("Authorization", "Role", "allow"), SCHEMA)
    assert "  locked, with all in it: changes only in files" in help_text(("exec",), SCHEMA)
    assert "locked" not in help_text(("cluster", "max_jobs"), SCHEMA)
    assert reference_page(SCHEMA).count("**locked**") == len(LOCKED)
