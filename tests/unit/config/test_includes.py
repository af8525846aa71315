"""Includes: the folders where they are looked up, the items that they overlay, and every fault that they can have."""

import os
from pathlib import Path

import pytest

from eccmgr.config.files.disk import DiskFiles
from eccmgr.config.files.load import Loaded, load, search_path
from eccmgr.config.syntax.document import MAX_DEPTH
from eccmgr.config.syntax.values import Text
from tests.unit.config.console import write


def loaded(folder: Path, files: dict[str, str | bytes], folders: tuple[str, ...] = ()) -> Loaded:
    return load(str(write(folder, files)), DiskFiles(), folders)


def value(result: Loaded, option: str) -> str:
    assert result.faults == []
    setting = result.root.option(option)
    assert setting is not None
    assert isinstance(setting.value, Text)
    return setting.value.text


def faults(result: Loaded, folder: Path) -> list[str]:
    return [str(fault).replace(f"{folder}/", "") for fault in result.faults]


def test_later_setting_overrides_earlier_one_across_files(tmp_path: Path) -> None:
    result = loaded(tmp_path, {"a.conf": 'x = 1\ny = 1\ninclude "b.conf"\ny = 3', "b.conf": "X = 2\ny = 2"})
    assert (value(result, "x"), value(result, "y")) == ("2", "3")


def test_scope_written_twice_merges_in_first_spelling(tmp_path: Path) -> None:
    result = loaded(tmp_path, {"a.conf": 'Foo "n" { a = 1 b = 1 }\nfoo "n" { B = 2 }\nFOO "N" { }'})
    first, other = result.root.scopes.values()
    assert (first.kind, first.name, other.kind, other.name) == ("Foo", "n", "Foo", "N")
    assert [(setting.name, setting.value) for setting in first.options.values()] == [("a", Text("1")), ("b", Text("2"))]


def test_known_names_are_shown_in_schema_spelling(tmp_path: Path) -> None:
    result = loaded(tmp_path, {"a.conf": "CONTROL_LISTENER { TIMEOUT = 5 }"})
    (scope,) = result.root.scopes.values()
    assert (scope.kind, scope.options["timeout"].name) == ("Control_Listener", "Timeout")


def test_an_include_within_a_scope_fills_that_scope(tmp_path: Path) -> None:
    result = loaded(tmp_path, {"a.conf": 'foo { include "b.conf" }', "b.conf": "x = 1\nbar { y = 2 }"})
    (foo,) = result.root.scopes.values()
    assert list(foo.options) == ["x"]
    assert list(foo.scopes) == [("bar", None)]


def test_folder_is_read_by_name_without_hidden_files(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.conf": "include d",
        "d/20": "x = 20",
        "d/10": "x = 10",
        "d/.30": "broken {",
        "d/40/inner": "x = 40",
    }
    assert value(loaded(tmp_path, files), "x") == "20"


def test_relative_include_is_searched_beside_its_file_first(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "main/a.conf": 'include "sub/b.conf"\ninclude "far.conf"',
        "main/sub/b.conf": 'include "c.conf"',
        "main/sub/c.conf": "x = beside",
        "main/c.conf": "x = main",
        "two/c.conf": "x = path",
        "two/far.conf": "y = two",
        "three/far.conf": "y = three",
    }
    folders = search_path(f"{tmp_path}/one::{tmp_path}/two:{tmp_path}/three")
    result = loaded(tmp_path, files, folders)
    assert (value(result, "x"), value(result, "y")) == ("beside", "two")


def test_missing_include_is_a_fault_with_its_place(tmp_path: Path) -> None:
    result = loaded(tmp_path, {"a.conf": 'x = 1\n  include "none"\ninclude "/no/where"'})
    assert faults(result, tmp_path) == [
        "a.conf:2:3: include 'none' is not there, expected a file or a folder beside this file",
        "a.conf:3:1: include '/no/where' is not there, expected a path that exists",
    ]


def test_include_cycle_is_a_named_fault_through_links(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a.conf")
    result = loaded(tmp_path, {"a.conf": "include b.conf", "b.conf": "x = 1\ninclude link"})
    assert faults(result, tmp_path) == [
        "b.conf:2:1: an include cycle: a.conf → b.conf → a.conf, expected a file that is not being read already"
    ]


def test_files_that_include_each_other_twice_end(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"{n}.conf": f"include {n + 1}.conf\ninclude {n + 1}.conf" for n in range(20)}
    files["20.conf"] = "x = 1"
    assert any("too many includes" in fault for fault in faults(loaded(tmp_path, files), tmp_path))


def test_includes_in_a_long_row_are_a_fault(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"{n}.conf": f"include {n + 1}.conf" for n in range(40)}
    files["40.conf"] = "x = 1"
    assert any("too many includes" in fault for fault in faults(loaded(tmp_path, files), tmp_path))


def test_depth_counts_over_files(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.conf": "a { " * 40 + "include b.conf" + " }" * 40,
        "b.conf": "a { " * 40 + " }" * 40,
    }
    found = faults(loaded(tmp_path, files), tmp_path)
    assert found == [f"b.conf:1:97: a scope nested too deep, expected at most {MAX_DEPTH} scopes within each other"]


def test_faults_come_in_the_order_of_reading(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"a.conf": "include b.conf\nx = /", "b.conf": "}", "c.conf": "x"}
    assert [fault.split(":")[0] for fault in faults(loaded(tmp_path, files), tmp_path)] == ["a.conf", "b.conf"]


def test_unreadable_file_is_a_fault(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = loaded(tmp_path, {"a.conf": "include pipe"})
    assert faults(result, tmp_path) == [
        "a.conf:1:1: pipe cannot be read: not a regular file, expected a file or a folder"
    ]
    result = load(str(tmp_path / "none"), DiskFiles())
    assert faults(result, tmp_path) == ["none:1:1: cannot be read: No such file or directory, expected a file"]
    assert faults(load(str(tmp_path), DiskFiles()), tmp_path.parent)[0].startswith(
        f"{tmp_path.name}:1:1: cannot be read"
    )


@pytest.mark.parametrize("path", ['"a\\\\b"', '"' + "x" * 5000 + '"', '""', '"é"'])
def test_strange_path_is_a_fault_without_a_crash(tmp_path: Path, path: str) -> None:
    assert len(faults(loaded(tmp_path, {"a.conf": f"include {path}"}), tmp_path)) == 1


def test_without_a_main_file_the_configuration_is_empty() -> None:
    result = load(None, DiskFiles())
    assert (result.faults, result.root.options, result.root.scopes) == ([], {}, {})


def test_values_that_do_not_fit_are_placed_faults(tmp_path: Path) -> None:
    text = 'cluster { max_running = many }\nControl_Listener { Listen { } }\nSecurity "x" { }\nBlackhole = ( a )'
    assert faults(loaded(tmp_path, {"a.conf": text}), tmp_path) == [
        "a.conf:1:25: max_running is 'many', expected a whole number from 1 up to 10000",
        'a.conf:2:20: Listen without a name, expected Listen "NAME" { … }',
        "a.conf:3:1: Security with a name, expected Security { … }",
        "a.conf:4:13: Blackhole is a list, expected on|off, true|false, enabled|disabled, yes|no or 1|0",
    ]


def test_secrets_value_is_never_in_a_fault(tmp_path: Path) -> None:
    result = loaded(tmp_path, {"a.conf": "Datasource x { uri = [ password = s3cret ] }"})
    assert len(result.faults) == 1
    assert "s3cret" not in str(result.faults[0])
