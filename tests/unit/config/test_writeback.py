"""`config writeback`: the file to which a change goes, the parts that stay as they were, and faults on the way."""

import os
import stat
from pathlib import Path

import pytest

from eccmgr.config.files.disk import DiskFiles
from eccmgr.config.live.store import Store
from tests.unit.config.console import SAMPLES, Console, Opened, write
from tests.unit.config.memory import MemoryFiles

WARNING = "Warning: 1 change belongs to no file that can be written, and will be lost by a reload:"


def in_memory(files: dict[str, str], readonly: frozenset[str] = frozenset()) -> tuple[Console, MemoryFiles]:
    memory = MemoryFiles({path: text.encode() for path, text in files.items()}, readonly)
    store = Store(next(iter(files)), files=memory)
    store.load()
    return Console(store), memory


def after(text: str, *lines: str) -> str:
    """The text of a file after these changes were written back to it."""
    console, memory = in_memory({"/a": text})
    for line in lines:
        console.ok(f"config {line}")
    console.ok("config writeback")
    return memory.contents["/a"].decode()


def test_value_is_replaced_in_place_and_style() -> None:
    text = '# head\nx = 1 # why\n\ny="2"\t/* z */\nl = (a\n  b) # list\n'
    assert after(text, "set x = 5", "set y = six", "set l = ( c )") == (
        '# head\nx = 5 # why\n\ny="six"\t/* z */\nl = ( c ) # list\n'
    )


def test_set_option_is_replaced_at_its_last_place() -> None:
    assert after("x = 1\nfoo { x = 2 }\nx = 3\n", "set x = 4") == "x = 1\nfoo { x = 2 }\nx = 4\n"


def test_new_option_goes_to_its_blocks_end_indented() -> None:
    assert after("foo {\n\tx = 1 # why\n\t# last\n}\nz = 1\n", "set foo y = 2") == (
        "foo {\n\tx = 1 # why\n\ty = 2\n\t# last\n}\nz = 1\n"
    )
    assert after("foo {\n}\n", "set foo y = 2") == "foo {\n  y = 2\n}\n"
    assert after("foo { x = 1 }\n", "set foo y = 2") == "foo { x = 1 y = 2 }\n"
    assert after("foo {}", "set foo y = 2") == "foo { y = 2 }"
    assert after("x = 1", "set y = 2") == "x = 1\ny = 2\n"
    assert after("", "set y = 2") == "y = 2\n"
    assert after("# only a comment", "set y = 2") == "# only a comment\ny = 2\n"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_end_as_the_file_ends_them(newline: str) -> None:
    before = "# x = 0\nx = 1\nfoo {\n  y = 2 # why\n}\n".replace("\n", newline)
    assert after(before, "set foo z = 3", "unset x") == (
        "# x = 0\nfoo {\n  y = 2 # why\n  z = 3\n}\n".replace("\n", newline)
    )


def test_config_write_is_config_writeback() -> None:
    console, memory = in_memory({"/a": "x = 1\n"})
    console.ok("config set x = 2")
    assert console.ok("config write") == "Wrote 1 change to /a"
    assert memory.contents["/a"] == b"x = 2\n"


def test_unset_removes_every_place_and_its_line() -> None:
    assert after("x = 1\n# note\nx = 2 # why\ny = 3 x = 4 z = 5\n", "unset x") == "# note\n# why\ny = 3 z = 5\n"
    assert after("foo { x = 1 }", "unset foo x") == "foo { }"
    assert after('foo { x="1"y="2"z="3" }', "unset foo y") == 'foo { x="1"z="3" }'


def test_a_dropped_scope_goes_from_every_place() -> None:
    assert after('a = 1\nfoo "x" {\n  b = 2\n}\n# end\nfoo "y" { }\nfoo "x" { c = 3 }\n', "unset foo x") == (
        'a = 1\n# end\nfoo "y" { }\n'
    )


def test_file_left_empty_is_still_a_file() -> None:
    assert after("x = 1", "unset x") == ""
    assert after("foo { bar { x = 1 } }", "unset foo bar") == "foo { }"


def test_new_scope_with_special_characters_parses_again() -> None:
    console, memory = in_memory({"/a": "Local_Changes_File = /l\n".replace("/l", '"/l"'), "/l": ""})
    console.ok("config set foo 'a\"b\\\\ {#' x = '( \\\\\" )'")
    console.ok("config writeback")
    assert memory.contents["/l"].decode() == 'foo "a\\"b\\ {#" {\n  x = "( \\\\\\" )"\n}\n'
    assert console.ok("config reload") == "Reconfigured"
    assert console.ok("config locate foo") == 'foo "a\\"b\\ {#"\n  is at foo:a"b\\ {#:'


def test_change_goes_to_the_last_file_with_it(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "x = 1\ninclude b.conf", "b.conf": "x = 2\n"})
    console.ok("config set x = 3")
    assert console.ok("config writeback") == f"Wrote 1 change to {tmp_path}/b.conf"
    assert (tmp_path / "a.conf").read_text() == "x = 1\ninclude b.conf"
    assert (tmp_path / "b.conf").read_text() == "x = 3\n"


def test_new_scope_goes_to_the_first_writable_file(console_on: Opened, tmp_path: Path) -> None:
    files = {
        "a.conf": "readonly_include b.conf\ninclude c.conf\ninclude d.conf",
        "b.conf": "foo { x = 1 }",
        "c.conf": "foo { }",
        "d.conf": "foo { }",
    }
    console = console_on(files)
    console.ok("config set foo y = 2")
    console.ok("config set foo x = 3")
    assert console.ok("config writeback") == f"Wrote 2 changes to {tmp_path}/c.conf"
    assert (tmp_path / "c.conf").read_text() == "foo { x = 3  y = 2 }"
    assert console.ok("config reload") == "Reconfigured"
    assert console.ok("config get foo x") == "x = 3"


def test_last_resort_is_a_new_local_changes_file(console_on: Opened, tmp_path: Path) -> None:
    console = console_on(
        {"a.conf": 'Local_Changes_File = "local.conf"\nreadonly_include b.conf', "b.conf": "f { x = 1 }"}
    )
    console.ok("config set f x = 2")
    console.ok("config set g y = 3")
    assert console.ok("config writeback") == f"Wrote 2 changes to {tmp_path}/local.conf"
    text = (tmp_path / "local.conf").read_text()
    assert text.startswith("# ")
    assert text.endswith("\nf {\n  x = 2\n}\ng {\n  y = 3\n}\n")
    assert stat.S_IMODE((tmp_path / "local.conf").stat().st_mode) == 0o640
    assert console.ok("config reload") == "Reconfigured"
    assert console.ok("config get f x") == "x = 2"
    console.ok("config set f x = 4")
    console.ok("config writeback")
    assert (tmp_path / "local.conf").read_text() == text.replace("x = 2", "x = 4")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("set Logs max_open 7", "x = 1\nLogs {\n  max_open = 7\n}\n"),
        ("set fresh inner y = 2", 'x = 1\nfresh "inner" {\n  y = 2\n}\n'),
    ],
)
def test_a_new_scope_goes_to_the_main_file(line: str, text: str) -> None:
    assert after("x = 1\n", line) == text


def test_new_scope_goes_into_its_surrounding_block(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "include b.conf\n", "b.conf": "ESMTP_Listener {\n  x = 5\n}\n"})
    console.ok("config set ESMTP_Listener Listen 10.1.1.1:25 Duravip_Follow = v1")
    assert console.ok("config writeback") == f"Wrote 1 change to {tmp_path}/b.conf"
    assert '  Listen "10.1.1.1:25" {' in (tmp_path / "b.conf").read_text()


def test_unwritable_main_file_is_named_in_the_remedy() -> None:
    console, memory = in_memory({"/a": "x = 1\n"}, frozenset({"/a"}))
    console.ok("config set Logs max_open 7")
    assert console.refused("config writeback").endswith(
        'Remedy: put Local_Changes_File = "PATH" into /a by hand, then config reload'
    )
    assert memory.contents["/a"] == b"x = 1\n"


def test_else_it_is_shown_with_a_warning(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "readonly_include b.conf", "b.conf": "foo { Password = 1x }"})
    console.ok("config set foo Password 2x")
    said = (
        f'{WARNING}\nfoo {{\n  Password = ********\n}}\nRemedy: put Local_Changes_File = "PATH" into {tmp_path}/a.conf'
    )
    assert console.refused("config writeback") == f"{said} by hand, then config reload"
    assert console.ok("config get foo Password") == "Password = ********"
    assert console.ok("config reload") == "Reconfigured; 1 unsaved change dropped"


def test_unset_undone_by_read_only_file_writes_nothing(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "x = 1\nreadonly_include b.conf", "b.conf": "x = 2"})
    console.ok("config unset x")
    remedy = f"Remedy: take x out at {tmp_path}/b.conf:1:1 by hand"
    assert console.refused("config writeback") == f"{WARNING}\n# unset x\n{remedy}"
    assert (tmp_path / "a.conf").read_text() == "x = 1\nreadonly_include b.conf"


def test_change_overridden_by_a_read_only_file_warns(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "foo { y = 1 }\nreadonly_include b.conf", "b.conf": "foo { x = 2 }"})
    console.ok("config set foo x = 3")
    place = f"{tmp_path}/b.conf:1:7"
    assert console.refused("config writeback").splitlines() == [
        f"Wrote 1 change to {tmp_path}/a.conf",
        f"Warning: foo::x was written but is overridden at {place}",
        (
            f'Remedy: take it out at {place} by hand, or put Local_Changes_File = "PATH" into {tmp_path}/a.conf '
            "by hand, then config reload"
        ),
    ]
    assert console.ok("config get foo x") == "x = 3"


def test_overridden_change_goes_to_the_local_changes_file(console_on: Opened, tmp_path: Path) -> None:
    text = 'Local_Changes_File = "l.conf"\nfoo { y = 1 }\nreadonly_include b.conf'
    console = console_on({"a.conf": text, "b.conf": "foo { x = 2 }"})
    console.ok("config set foo x = 3")
    assert console.ok("config writeback") == f"Wrote 1 change to {tmp_path}/l.conf"
    assert (tmp_path / "a.conf").read_text() == text


def test_local_changes_only_sends_all_to_that_file(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": 'Local_Changes_File = "l.conf"\nLocal_Changes_Only = true\nx = 1\n'})
    console.ok("config set x = 2")
    assert console.ok("config writeback") == f"Wrote 1 change to {tmp_path}/l.conf"
    assert "x = 1\n" in (tmp_path / "a.conf").read_text()
    console.ok("config reload")
    assert console.ok("config get x") == "x = 2"


def test_a_file_included_twice_is_read_only(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "foo { include b.conf }\nbar { include b.conf }", "b.conf": "x = 1"})
    console.ok("config set foo x = 2")
    console.ok("config writeback")
    assert (tmp_path / "b.conf").read_text() == "x = 1"


def test_writeback_without_changes_touches_nothing(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "x = 1"})
    before = (tmp_path / "a.conf").stat()
    assert console.ok("config writeback") == "Nothing to write back"
    console.ok("config set x = 2")
    console.ok("config set x = 1")
    assert console.ok("config writeback") == "Nothing to write back"
    assert (tmp_path / "a.conf").stat() == before


def test_mode_and_owner_and_links_are_kept(console_on: Opened, tmp_path: Path) -> None:
    write(tmp_path, {"real/b.conf": "x = 1\n"})
    target = tmp_path / "real/b.conf"
    target.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(target, 1234, 4321)
    (tmp_path / "b.conf").symlink_to(target)
    before = target.stat()
    console = console_on({"a.conf": "include b.conf"})
    console.ok("config set x = 2")
    console.ok("config writeback")
    now = target.stat()
    assert (tmp_path / "b.conf").is_symlink()
    assert target.read_text() == "x = 2\n"
    assert (now.st_mode, now.st_uid, now.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert sorted(path.name for path in target.parent.iterdir()) == ["b.conf"]


def test_changed_file_is_refused_with_differences_unless_forced(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "x = 1\ny = 1\n"})
    console.ok("config set x = 2")
    write(tmp_path, {"a.conf": "x = 1\ny = 7\n# Password = s3cret\n"})
    answer = console.refused("config writeback")
    assert answer.startswith(f"{tmp_path}/a.conf changed on disk since it was read; nothing was written.")
    assert "-y = 1\n+y = 7\n" in answer
    assert "s3cret" not in answer
    assert (tmp_path / "a.conf").read_text().startswith("x = 1\ny = 7\n")
    assert console.ok("config writeback --force") == f"Wrote 1 change to {tmp_path}/a.conf"
    assert (tmp_path / "a.conf").read_text() == "x = 2\ny = 1\n"


def test_a_file_that_vanished_is_refused_too(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "x = 1\n"})
    console.ok("config set x = 2")
    (tmp_path / "a.conf").unlink()
    assert "changed on disk" in console.refused("config writeback")
    assert not (tmp_path / "a.conf").exists()


def test_one_refused_file_prevents_writing_any() -> None:
    console, memory = in_memory({"/a": "x = 1\ninclude b", "/b": "y = 1"})
    console.ok("config set x = 2")
    console.ok("config set y = 2")
    memory.contents["/b"] = b"y = 9"
    console.refused("config writeback")
    assert memory.contents["/a"] == b"x = 1\ninclude b"


def test_a_failure_to_write_loses_nothing() -> None:
    console, memory = in_memory({"/a": "x = 1"})
    console.ok("config set x = 2")
    memory.broken = True
    assert console.refused("config writeback") == "Nothing was written: No space left on device"
    memory.broken = False
    assert console.ok("config writeback") == "Wrote 1 change to /a"


def test_crash_before_the_rename_keeps_the_old_file(
    console_on: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = console_on({"a.conf": "x = 1", "d/b.conf": "y = 1"})
    console.ok("config set x = 2")

    def crash(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", crash)
    assert console.refused("config writeback") == "Nothing was written: Input/output error"
    assert (tmp_path / "a.conf").read_text() == "x = 1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.conf", "d"]


def test_data_are_on_the_disk_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        done.append("fsync")
        real_fsync(descriptor)

    def replace(source: str, target: str) -> None:
        done.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    DiskFiles().replace({str(tmp_path / "a"): b"1", str(tmp_path / "b"): b"2"})
    assert done == ["fsync", "fsync", "rename", "rename", "fsync"]


def test_writeback_of_one_path_leaves_the_others() -> None:
    console, memory = in_memory({"/a": "x = 1\ninclude b", "/b": "y = 1"})
    console.ok("config set x = 2")
    console.ok("config set y = 2")
    assert console.ok("config writeback b") == "Wrote 1 change to /b"
    assert memory.contents["/a"] == b"x = 1\ninclude b"
    assert console.ok("config writeback") == "Wrote 1 change to /a"


def test_writeback_to_a_new_path_saves_everything(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "Password = s3cret\ninclude b.conf", "b.conf": "x = 1"})
    console.ok("config set x = 2")
    assert console.ok("config writeback copy.conf") == f"Wrote the whole configuration to {tmp_path}/copy.conf"
    assert (tmp_path / "copy.conf").read_text() == "Password = s3cret\nx = 2\n"
    assert stat.S_IMODE((tmp_path / "copy.conf").stat().st_mode) == 0o600
    assert "--force overwrites it" in console.refused("config writeback copy.conf")
    console.ok("config writeback --force copy.conf")
    console.refused("config writeback no/such/folder.conf")


def test_everything_is_unsaved_without_a_main_file() -> None:
    console = Console(Store.open(None))
    console.ok("config set blackhole on")
    said = f"{WARNING}\nBlackhole = on\nRemedy: start the daemon with a file (-c FILE)"
    assert console.refused("config writeback").startswith(said)


@pytest.mark.parametrize(
    ("name", "there", "back"),
    [
        (
            "eccluster.conf",
            [
                "set fresh = 1",
                "set ec_logger ec_logger heartbeat 5",
                "set Logs max_open 5",
                "set Datasource ecdb cache_life 1",
            ],
            [
                "unset fresh",
                "set ec_logger ec_logger heartbeat 0",
                "unset Logs max_open",
                "set Datasource ecdb cache_life 300",
            ],
        ),
        (
            "ecelerity-cluster.conf",
            [
                "set cluster if_check_interval 7",
                "set binding duravip-6 x=1",
                "set cluster max_running 1",
            ],
            ["unset cluster if_check_interval", "unset binding duravip-6 x", "unset cluster max_running"],
        ),
    ],
)
def test_sample_changed_and_changed_back_keeps_its_bytes(
    tmp_path: Path, name: str, there: list[str], back: list[str]
) -> None:
    for sample in SAMPLES.iterdir():
        (tmp_path / sample.name).write_bytes(sample.read_bytes())
    console = Console(Store.open(str(tmp_path / name)))
    for lines in (there, back):
        for line in lines:
            console.ok(f"config {line}")
        assert "Warning" not in console.ok("config writeback")
        changed = [
            sample.name for sample in SAMPLES.iterdir() if sample.read_bytes() != (tmp_path / sample.name).read_bytes()
        ]
        assert bool(changed) == (lines is there)
