"""An unknown scope or option is refused at a console, and reported in a file."""

import pytest

from cli.daemons import DaemonProgram
from eccmgr.config.files.load import load_text
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.unknown import unknown_in
from eccmgr.settings import ManagerSettings
from tests.unit.config.console import Console, Opened

REMEDY = "To set it all the same: config set"


@pytest.fixture
def console(console_on: Opened) -> Console:
    return console_on({"a.conf": 'cluster { }\nforeign { a = 1 }\nControl_Listener { Listen "/tmp/x" { } }\n'})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "cluster sesion_lease 5",
            (
                "Unknown option 'sesion_lease' in cluster. Did you mean 'session_lease'? "
                f"{REMEDY} cluster sesion_lease = 5"
            ),
        ),
        (
            "Control_Listner Timeout 30",
            f"Unknown scope 'Control_Listner'. Did you mean 'Control_Listener'? {REMEDY} Control_Listner Timeout = 30",
        ),
        (
            "Control_Listener Listn /tmp/y Timeout 5",
            (
                "Unknown scope 'Listn' in Control_Listener. Did you mean 'Listen'? "
                f"{REMEDY} Control_Listener Listn /tmp/y Timeout = 5"
            ),
        ),
        (
            "Control_Listener Listen /tmp/x Timeot 5",
            (
                "Unknown option 'Timeot' in Control_Listener Listen \"/tmp/x\". Did you mean 'Timeout'? "
                f"{REMEDY} Control_Listener Listen /tmp/x Timeot = 5"
            ),
        ),
        ("Blakhole on", f"Unknown option 'Blakhole'. Did you mean 'Blackhole'? {REMEDY} Blakhole = on"),
        ("zzz some thing", f"Unknown option 'zzz'. {REMEDY} zzz = ********"),
        ("foreign b 2", f"Unknown option 'b' in foreign. {REMEDY} foreign b = 2"),
        ("my_password hunter2", f"Unknown option 'my_password'. {REMEDY} my_password = ********"),
    ],
)
def test_an_unknown_word_is_refused_with_a_suggestion(console: Console, line: str, said: str) -> None:
    before = console.ok("config showrecurse")
    assert console.refused(f"config set {line}") == said
    assert console.ok("config showrecurse") == before


@pytest.mark.parametrize(
    "line", ["cluster sesion_lease = 5", "cluster sesion_lease=5", "Control_Listner Timeout = 30", "foreign a 2"]
)
def test_unknown_option_with_sign_or_value_is_accepted(console: Console, line: str) -> None:
    console.ok(f"config set {line}")


def test_suggested_command_works_as_shown(console: Console) -> None:
    refusal = console.refused("config set Control_Listner Timeout 30")
    console.ok(refusal.rpartition("all the same: ")[2])
    assert console.ok("config get Control_Listner Timeout") == "Timeout = 30"


def test_unknown_words_in_a_file_are_reported() -> None:
    root = load_text("cluster { sesion_lease = 5 }\nControl_Listner { a = 1 }\nLogs { max_open = 5 }\n").root
    kept = "It is kept, and does nothing here"
    assert list(unknown_in(root, SCHEMA)) == [
        f"configuration:1:11: unknown option 'sesion_lease' in cluster. Did you mean 'session_lease'? {kept}",
        f"configuration:2:1: unknown scope 'Control_Listner'. Did you mean 'Control_Listener'? {kept}",
    ]


def test_checked_file_warns_without_a_fault(
    console: Console, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from eccmgr.manager import Manager

    main = console.store.loaded.main
    assert DaemonProgram("eccmgr", ManagerSettings, "/nonexistent", Manager).run({"config": main}, check=True) == 0
    said = capsys.readouterr()
    assert said.out == f"{main}: no faults\n"
    assert said.err == f"Warning: {main}:2:1: unknown scope 'foreign'. It is kept, and does nothing here\n"
