"""Real programs as commands: their output, their exit codes, their children and their deaths."""

import asyncio
import os
import pwd
import re
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from eccmgr.commands.caller import Caller
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import Table
from eccmgr.config.files.load import load_text
from eccmgr.config.live.effective import ScopeView
from eccmgr.errors import CommandError, ConfigError
from eccmgr.modules.catalogue import Catalogue
from eccmgr.modules.loaded import Modules, check
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from tests.daemons import Processes, ask_sync
from tests.waiting import wait_until, wait_until_sync
from worker.isolation import CLEAN
from worker.modules.exec import Exec

HOPPING = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    sys.exit()
while True:
    os.setsid()
    with open("{marks}", "a") as marks:
        marks.write("x")
    if os.fork():
        os._exit(0)
"""
CATALOGUE = Catalogue({"exec": Exec}, {})
pytestmark = pytest.mark.usefixtures("nothing_left")


def view(text: str) -> ScopeView:
    loaded = load_text(f'exec "x" {{\n{text}\n}}', CATALOGUE.schema)
    loaded.check()
    return ScopeView(loaded.root, (), None, CATALOGUE.schema)


def script(folder: Path, text: str) -> Path:
    path = folder / f"program{len(list(folder.iterdir()))}"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def answer(text: str, line: str) -> tuple[str, str]:
    """The status and the text that a command answers under this configuration."""
    table = Table()
    modules = Modules(CATALOGUE, "ecnode", "east1", Gate(table), Link("redis://127.0.0.1:1/0"), Keys("c"))
    await modules.start(view(text))
    try:
        answered = await Gate(table).run(line, Caller("ann"))
        return answered.status.value, answered.text
    finally:
        await modules.stop()


def _running(program: Path) -> bool:
    return any(
        str(program) in found.info["cmdline"] for found in psutil.process_iter(["cmdline"]) if found.info["cmdline"]
    )


def one(program: object, more: str = "") -> str:
    return f'commands = [ go = "{program}" ]\n{more}'


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo out; echo err >&2; echo again", ("ok", "out\nerr\nagain")),
        ("true", ("ok", "")),
        ("echo half; exit 3", ("error", "half\nexit code 3")),
        ("exit 1", ("error", "exit code 1")),
        ("kill -9 $$", ("error", "ended by signal 9 (SIGKILL)")),
        ("kill -40 $$", ("error", "ended by signal 40")),
        ("printf 'a\\377b'", ("ok", "a\ufffdb")),
        ("read line; echo \"read $line\"", ("ok", "read ")),
        ("pwd", ("ok", "/")),
        ("echo $SECRET", ("ok", "")),
    ],
)  # fmt: skip
async def test_programs_output_and_end_are_the_answer(
    folder: Path, text: str, said: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "known to the node alone")
    assert await answer(one(script(folder, text)), "exec:x go") == said


@pytest.mark.asyncio
async def test_no_shell_reads_what_is_typed(folder: Path) -> None:
    program = script(folder, 'for each in "$@"; do echo "<$each>"; done')
    allowed = one(program, 'arguments = [ go = ".*" ]')
    assert await answer(allowed, "exec:x go 'a  b' $HOME ; `id` *") == (
        "ok", "<a  b>\n<$HOME>\n<;>\n<`id`>\n<*>"
    )  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("arguments", "line", "said"),
    [
        ("", "exec:x go more", "Usage: exec:x go"),
        ('arguments = [ go = "[a-z]+" ]', "exec:x go abc -rf", r"go does not take '-rf'; an argument must fit \[a-z\]"),
        ('arguments = [ go = "[a-z]+" ]', "exec:x go 'a b'", "go does not take 'a b'"),
        (
            'arguments = [ go = ".+" ]',
            "exec:x go -rf",
            r"go does not take '-rf'; an argument that begins with - must fit",
        ),
        ('arguments = [ go = "[a-z]+" ]', "exec:x go 'a\nb'", "control character U\\+000A"),
        ('arguments = [ go = ".*" ]', f"exec:x go {'x ' * 33}", "go takes at most 32 arguments"),
        ('arguments = [ go = ".*" ]', f"exec:x go {'x' * 1025}", "does not take"),
        ('arguments = [ go = ".*" ]', "exec:x go 'x", "quote"),
        ("", "exec:x other", "Unknown command"),
    ],
)
async def test_arguments_are_those_that_the_entry_allows(arguments: str, line: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        await answer(one("/bin/echo", arguments), line)


@pytest.mark.asyncio
async def test_overlong_program_is_ended_with_its_children(folder: Path) -> None:
    program = script(folder, f"trap '' TERM; sleep 3600 & echo $! > {folder}/child; echo begun; wait; sleep 3600")
    status, text = await answer(one(program, "time_limit = 0.5"), "exec:x go")
    assert (status, text) == ("error", "begun\nended: it took more than 0.5 s")
    child = int((folder / "child").read_text())
    await wait_until(lambda: not psutil.pid_exists(child), "the child has ended")


@pytest.mark.asyncio
async def test_program_ends_when_all_waiting_ends(folder: Path) -> None:
    program = script(folder, f"echo $$ > {folder}/pid; exec sleep 3600")
    asked = asyncio.create_task(answer(one(program), "exec:x go"))
    await wait_until(lambda: (folder / "pid").exists() and (folder / "pid").read_text(), "it has begun")
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert not psutil.pid_exists(int((folder / "pid").read_text()))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "leaving",
    [
        "setsid sleep 3600 & echo $! > {folder}/left",
        "(setsid sh -c 'sleep 3600 & echo $! > {folder}/left' &)",
        "setsid sh -c 'trap \"\" TERM HUP; echo $$ > {folder}/left; sleep 3600; sleep 3600' > /dev/null 2>&1 &",
        "nohup setsid sh -c 'setsid sh -c \"echo \\$\\$ > {folder}/left; exec sleep 3600\" &' &",
    ],
)
@pytest.mark.parametrize("late", [False, True])
async def test_nothing_outlives_a_program(folder: Path, leaving: str, late: bool) -> None:
    left = folder / "left"
    begun = f"until test -s {left}; do sleep 0.01; done; echo done"
    program = script(folder, f"{leaving.format(folder=folder)}\n{begun}\n{'sleep 3600' if late else ''}")
    status, text = await answer(one(program, "time_limit = 3" if late else ""), "exec:x go")
    assert not psutil.pid_exists(int(left.read_text()))
    if late:
        assert (status, text) == ("error", "done\nended: it took more than 3 s")
    else:
        assert status == "ok"
        assert re.fullmatch(r"done\n\(ended: \d process(es)? that it left running\)", text)


@pytest.mark.asyncio
async def test_process_that_keeps_forking_is_caught(folder: Path) -> None:
    program = folder / "hop"
    program.write_text(f"#!{sys.executable} -S\n{HOPPING.format(marks=folder / 'marks')}")
    program.chmod(0o755)
    status, text = await answer(one(program), "exec:x go")
    assert (status, "left running" in text) == ("ok", True)
    size = (folder / "marks").stat().st_size
    await wait_until(lambda: not _running(program), "none of its processes runs")
    assert (folder / "marks").stat().st_size >= size


@pytest.mark.asyncio
async def test_program_whose_supervisor_is_killed_ends(folder: Path) -> None:
    beside = f"setsid sh -c 'sleep 3600 & echo $! > {folder}/beside' &\nuntil test -s {folder}/beside; do :; done"
    program = script(folder, f"{beside}\necho $$ > {folder}/pid; kill -9 $PPID; sleep 3600")
    with pytest.raises(CommandError, match=f"the supervisor of {program} was ended by somebody else"):
        await answer(one(program), "exec:x go")
    for name in ("pid", "beside"):
        await wait_until(lambda name=name: not psutil.pid_exists(int((folder / name).read_text())), "it has ended")


@pytest.mark.asyncio
async def test_program_finds_a_clean_beginning(folder: Path) -> None:
    with socket.socket() as listening:
        listening.set_inheritable(True)
        status, text = await answer(one(script(folder, "env; ls /proc/self/fd")), "exec:x go")
    home = pwd.getpwuid(os.geteuid()).pw_dir
    assert status == "ok"
    assert {line for line in text.splitlines() if "=" in line} == {
        f"PATH={CLEAN['PATH']}", "LANG=C.UTF-8", f"HOME={home}", "PWD=/"
    }  # fmt: skip
    assert [line for line in text.splitlines() if line in {"0", "1", "2", "3", "4", "5"}] == ["0", "1", "2", "3"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("program", "more", "said"),
    [
        ("{folder}/gone", "", "{folder}/gone cannot be run: No such file or directory"),
        ("/bin/true", 'directory = "{folder}/none"', "the folder {folder}/none cannot be entered: No such file"),
    ],
)
async def test_program_that_cannot_run_is_reported(folder: Path, program: str, more: str, said: str) -> None:
    gone = script(folder, "true").rename(folder / "gone")
    table, program = Table(), program.format(folder=folder)
    modules = Modules(CATALOGUE, "ecnode", "east1", Gate(table), Link("redis://127.0.0.1:1/0"), Keys("c"))
    await modules.start(view(one(program, more.format(folder=folder))))
    gone.unlink()
    try:
        with pytest.raises(CommandError, match=said.format(folder=folder)):
            await Gate(table).run("exec:x go", Caller("ann"))
    finally:
        await modules.stop()


@pytest.mark.asyncio
async def test_endless_output_is_cut_and_costs_no_memory(folder: Path) -> None:
    program = script(folder, "head -c 50000000 /dev/zero | tr '\\0' x")
    status, text = await answer(one(program, "output_limit = 1000"), "exec:x go")
    assert (status, text) == ("ok", f"{'x' * 1000}\n(cut: 49999000 bytes more)")


@pytest.mark.asyncio
@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs programs as others")
async def test_a_program_runs_as_its_own_user(folder: Path) -> None:
    status, text = await answer(one("/usr/bin/id", 'user = "nobody"'), "exec:x go")
    entry = pwd.getpwnam("nobody")
    assert status == "ok"
    assert text.startswith(f"uid={entry.pw_uid}(nobody) gid={entry.pw_gid}(")
    assert "root" not in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "configuration:1:1: exec:x: no commands, expected commands = "),
        ('commands = [ go = "no-such-program" ]', "go: no program 'no-such-program' on this host"),
        ('commands = [ go = "./program" ]', "go: './program' is relative, expected an absolute path or a name in /usr"),
        ('commands = [ go = "" ]', "go: no program, expected"),
        ('commands = [ go = "echo \'x" ]', "go: .*quote"),
        ('commands = [ go = "echo" ] long = ( gone )', "long names 'gone', which is not a command; there are go"),
        ('commands = [ go = "echo" ] arguments = [ go = "(" ]', r"arguments of go: '\(' is not a regular expression"),
        ('commands = [ go = "echo" ] user = "no-such-user"', "no user 'no-such-user' on this host"),
    ],
)
def test_invalid_configuration_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check(CATALOGUE, "ecnode", view(text))


def test_broadcast_programs_run_and_long_ones_become_jobs(processes: Processes, folder: Path) -> None:
    program = script(folder, "echo one; sleep 0.2; echo two; exit $1")
    main = folder / "exec.conf"
    commands = f'commands = [ quick = "/bin/echo hi" slow = "{program} 0" bad = "{program} 4" ]'
    main.write_text(f'exec "x" {{ {commands} long = ( slow bad ) }}')
    manager = processes.manager()
    node = processes.node("east1", "east", "-c", str(main))
    assert "east1: hi" in ask_sync(manager.endpoint, "gather exec:x quick")
    assert ask_sync(manager.endpoint, "gather exec:x slow").endswith("east1:\n  one\n  two")
    assert ask_sync(manager.endpoint, "gather exec:x bad").endswith("east1: failed:\n  one\n  two\n  exit code 4")
    assert "exec:x slow" in ask_sync(node.endpoint, "cluster jobs")


def test_program_does_not_outlive_a_killed_node(processes: Processes, folder: Path) -> None:
    program = script(folder, f"setsid sleep 3600 & echo $! $$ > {folder}/pids; exec sleep 3600")
    main = folder / "exec.conf"
    main.write_text(f'exec "x" {{ commands = [ go = "{program}" ] }}')
    manager = processes.manager()
    node = processes.node("east1", "east", "-c", str(main))
    ask_sync(manager.endpoint, "broadcast exec:x go")
    wait_until_sync(lambda: (folder / "pids").exists() and (folder / "pids").read_text() != "", "it has begun")
    node.end(signal.SIGKILL)
    for pid in (folder / "pids").read_text().split():
        wait_until_sync(lambda pid=pid: not psutil.pid_exists(int(pid)), "it has ended")
