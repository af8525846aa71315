"""The words that the console offers while a `config` command is typed."""

import pytest

from eccmgr.config.schema.completion import candidates
from tests.unit.config.console import Console


def offered(console: Console, typed: str) -> list[str]:
    command, *words = typed.split(" ")
    return candidates(command, words, console.store.live)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("get contr", ["Control_Listener"]),
        ("GET CONTROL_LISTENER enable_auth", ["Enable_Authentication", "Enable_Authorization"]),
        ("get Control_Listener Listen ", ["/tmp/2025", "127.0.0.1:2025"]),
        ("get Control_Listener Listen /tmp/2025 ", ["Enable_Authentication"]),
        ("unset Logs ", ["logfile", "file_mode", "dir_mode"]),
        ("eval cluster max_r", ["max_running", "max_response_bytes"]),
        ("set cluster max_ru", ["max_running"]),
        ("set Blackhole ", ["true", "false"]),
        ("set Blackhole t", ["true"]),
        ("set Blackhole true ", []),
        ("show ", ["Security", "Logs", "Control_Listener", "Authorization", "ec_logger", "Datasource", "auth_ds"]),
        ("show Datasource ", ["ecdb"]),
        ("show auth_ds Scheme ecauth ", ["Authenticate", "QueryGroups"]),
        ("locate schem", ["Scheme"]),
        ("begin ", ["from"]),
        ("begin from ", ["scratch"]),
        ("writeback ", ["--force"]),
        ("help cluster topology ", ["interface", "cidrmask"]),
        ("get nonsense ", []),
        ("nonsense ", []),
        ("commit ", []),
    ],
)
def test_what_can_come_next(manager: Console, typed: str, expected: list[str]) -> None:
    found = offered(manager, typed)
    assert found[: len(expected)] == expected
    assert bool(found) == bool(expected)


def test_eval_offers_known_options_without_values(manager: Console) -> None:
    assert "Duravip_Preference" in offered(manager, "eval Binding fresh ")
    assert "Binding" in offered(manager, "set ")


def test_get_and_unset_offer_only_what_is_set(manager: Console) -> None:
    for command in ("get", "unset"):
        assert offered(manager, f"{command} Logs ") == ["logfile", "file_mode", "dir_mode"]


def test_names_that_need_quotes_are_offered_with_them(manager: Console) -> None:
    manager.ok("config set auth_ds scheme 'a b' x = 1")
    assert offered(manager, "show auth_ds scheme a") == ['"a b"']


def test_no_value_is_ever_offered(manager: Console) -> None:
    assert not any("s3cret" in each for each in offered(manager, "set Datasource ecdb uri "))
