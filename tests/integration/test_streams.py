"""Programs with standard streams or log files that are closed, full, or without a reader."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemons import ROOT, Processes, ask_sync
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")

PROGRAMS = ("eccmgr", "ecnode", "eccmgr_ctl", "ec_console")
FULL, CLOSED = "No space left on device", "it is closed"


def shell(program: str, arguments: str, redirected: str) -> subprocess.CompletedProcess[str]:
    """Run a program from a shell that redirects its streams; return the program's own exit code."""
    main = f"{sys.executable} -c 'from cli.{program} import main; main()'"
    return subprocess.run(
        ["bash", "-c", f"{main} {arguments} {redirected}; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def answers(endpoint: Path) -> bool:
    try:
        return "version" in ask_sync(endpoint, "version")
    except OSError:
        return False


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(("redirected", "reason"), [(">/dev/full", FULL), (">&-", CLOSED), ("<&- >&-", CLOSED)])
def test_output_that_cannot_be_written_is_one_line(program: str, redirected: str, reason: str) -> None:
    done = shell(program, "--help", redirected)
    assert (done.stderr, done.returncode) == (f"{program}: standard output cannot be written: {reason}\n", 1)


@pytest.mark.parametrize("program", PROGRAMS)
def test_output_that_nobody_reads_is_no_error_message(program: str) -> None:
    done = shell(program, "--help", "| true")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 141)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("redirected", ["2>/dev/full", "2>&-", "<&- >&- 2>&-"])
def test_unwritable_error_is_still_an_exit_code(program: str, redirected: str) -> None:
    done = shell(program, "--no-such-option", redirected)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 2)


def test_the_console_says_what_became_of_an_answer(processes: Processes) -> None:
    manager = processes.manager()
    for redirected, reason in ((">/dev/full", FULL), (">&-", CLOSED)):
        done = shell("ec_console", f"{manager.endpoint} version", redirected)
        assert (done.stderr, done.returncode) == (f"ec_console: standard output cannot be written: {reason}\n", 1)
    assert shell("ec_console", f"{manager.endpoint} version", "| true").returncode == 141
    assert "# eccmgr version" in shell("ec_console", f"{manager.endpoint} version", "<&-").stdout
    done = shell("ec_console", f"{manager.endpoint}", "<&-")
    assert (done.stderr, done.returncode) == ("ec_console: standard input cannot be read: it is closed\n", 1)


def test_lines_run_only_while_answers_can_be_written(processes: Processes, folder: Path) -> None:
    manager = processes.manager()
    (folder / "lines").write_text("version\nconfig set Blackhole true\n")
    done = shell("ec_console", str(manager.endpoint), f"<{folder}/lines >/dev/full")
    assert (done.stderr.count("\n"), done.returncode) == (1, 1)
    assert "not set" in ask_sync(manager.endpoint, "config get Blackhole")


@pytest.mark.parametrize("program", ["eccmgr", "ecnode"])
@pytest.mark.parametrize("redirected", ["<&- >&- 2>&-", "2>/dev/full >/dev/full", "2>&-", "<&-"])
def test_a_daemon_serves_whatever_its_streams_are(processes: Processes, program: str, redirected: str) -> None:
    daemon = processes.start(program, "east1", redirected=redirected, wait=False)
    wait_until_sync(lambda: answers(daemon.endpoint), "the daemon answers")
    assert daemon.end() == 0


@pytest.mark.parametrize("program", ["eccmgr", "ecnode"])
def test_daemon_reports_dropped_log_lines(processes: Processes, program: str, folder: Path) -> None:
    (folder / "log").symlink_to("/dev/full")
    (folder / "main.conf").write_text(f'ec_logger "x" {{ mainlog = "{folder}/log" }}\n')
    flags = ("-c", str(folder / "main.conf"))
    daemon = processes.start(program, "east1", *flags, redirected="2>/dev/full", wait=False)
    wait_until_sync(lambda: answers(daemon.endpoint), "the daemon answers")
    command = "info" if program == "eccmgr" else "cluster info"
    info = ask_sync(daemon.endpoint, command)
    for sink in ("standard error", f"{folder}/log"):
        assert f"lines were dropped at {sink}: {FULL}" in info
    (folder / "log").unlink()
    ask_sync(daemon.endpoint, "reopen logs")
    ask_sync(daemon.endpoint, "config set Blackhole true")
    assert 'event="configuration changed"' in (folder / "log").read_text()
    assert daemon.end() == 0
