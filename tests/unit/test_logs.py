"""Each event is one structured line in the log, whichever library reports it."""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from eccmgr.channels import Channel
from eccmgr.config.files.load import load_text
from eccmgr.config.live.effective import Overrides, ScopeView
from eccmgr.config.schema.known import SCHEMA
from eccmgr.errors import ConfigError
from eccmgr.logs.files import LogFiles
from tests.daemons import ROOT
from worker.guardian.process import log as guardian_log


def logged(program: str, *arguments: str) -> list[str]:
    """The lines that a program logs. It writes nothing else."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


_PROGRAM = """
import logging, sys
from eccmgr.logs.files import configure_logs
files = configure_logs("ecnode", 0)
logging.getLogger("rq.worker").warning("job %s stopped", "a b")
logging.getLogger("rq.worker").info("nothing of note")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("asyncio").exception("task failed")
"""


def test_library_log_records_are_ordinary_events() -> None:
    stopped, failed = logged(_PROGRAM)
    assert stopped.startswith("time=")
    assert stopped.endswith('level=warning program=ecnode event="job a b stopped" library=rq.worker')
    assert 'level=error program=ecnode event="task failed"' in failed
    assert "ZeroDivisionError" in failed


_THREAD = """
import logging, threading
import structlog
from eccmgr.logs.files import configure_logs
configure_logs("ecnode", 0)
def speak():
    structlog.get_logger().info("own")
    logging.getLogger("rq.worker").warning("a library's")
thread = threading.Thread(target=speak)
thread.start()
thread.join()
"""


def test_lines_of_every_thread_name_the_program() -> None:
    own, library = logged(_THREAD)
    assert own.endswith(" program=ecnode event=own")
    assert library.endswith(' program=ecnode event="a library\'s" library=rq.worker')


_PRINTING = """
import sys
from eccmgr.logs.files import configure_logs
from eccmgr.host.printed import PrintedLines
configure_logs("ecnode", 0)
sys.stdout = PrintedLines()
print("one\\x1b[2J\\u202e", "two", end="")
print("\\nlevel=error event=faked")
"""


def test_printed_lines_are_events_that_forge_nothing() -> None:
    one, two = logged(_PRINTING)
    assert one.endswith(r'event=printed text="one\\x1b[2J\\u202e two"')
    assert two.endswith('event=printed text="level=error event=faked"')


@pytest.mark.asyncio
async def test_events_reach_the_files_of_their_channels(folder: Path) -> None:
    text = f"""
        ec_logger "quiet" {{ mainlog = "{folder}/quiet" rejectlog = "{folder}/reject" paniclog = "{folder}/panic" }}
        ec_logger "lively" {{ mainlog = "{folder}/lively" heartbeat = 5 }}
    """
    files = LogFiles("eccmgr")
    await (await files.prepare(ScopeView(load_text(text).root, (), Overrides(), SCHEMA), ())).carry_out()
    files(None, "", {"level": "info", "event": "alive", "channel": Channel.HEARTBEAT})
    files(None, "", {"level": "warning", "event": "connection refused", "channel": Channel.REJECT})
    files(None, "", {"level": "info", "event": "an offer was refused"})
    files(None, "", {"level": "error", "event": "broken"})
    await files.close()
    written = {path.name: [*map(_event, path.read_text().splitlines())] for path in folder.iterdir()}
    assert written == {
        "quiet": ["connection refused", "an offer was refused", "broken"],
        "lively": ["alive", "connection refused", "an offer was refused", "broken"],
        "reject": ["connection refused"],
        "panic": ["broken"],
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("link", "it is a symbolic link"),
        ("strangers", "it belongs to nobody"),
        ("hard link", "it has a second name (a hard link)"),
        ("folder", "/logs belongs to nobody, who can replace what is in it"),
    ],
)
async def test_no_log_is_written_where_strangers_lead(folder: Path, kind: str, said: str) -> None:
    folder.chmod(0o755)
    logs, victim = folder / "logs", folder / "victim"
    logs.mkdir()
    logs.chmod(0o1777)
    victim.write_text("precious")
    match kind:
        case "link":
            (logs / "main").symlink_to(victim)
        case "hard link":
            os.link(victim, logs / "main")
        case "strangers":
            (logs / "main").touch()
            os.chown(logs / "main", 65534, 65534)
        case "folder":
            os.chown(logs, 65534, 65534)
    text = f'ec_logger "x" {{ mainlog = "{logs}/main" }}'
    with pytest.raises(ConfigError, match=f"cannot open the log file {logs}/main: .*{re.escape(said)}$"):
        await LogFiles("eccmgr").prepare(ScopeView(load_text(text).root, (), Overrides(), SCHEMA), ())
    assert victim.read_text() == "precious"


def _event(line: str) -> str:
    assert "channel" not in line
    return line.partition("event=")[2].strip('"')


@pytest.mark.asyncio
async def test_debug_level_takes_effect_at_once(folder: Path) -> None:
    def logger(level: str) -> ScopeView:
        text = f"""
            ec_logger "one" {{ mainlog = "{folder}/one" Debug_Level = "{level}" }}
            ec_logger "two" {{ mainlog = "{folder}/two" }}
        """
        return ScopeView(load_text(text).root, (), Overrides(), SCHEMA)

    def log(level: str, event: str) -> None:
        with contextlib.suppress(structlog.DropEvent):
            files(None, level, files.drop_below(None, level, {"level": level, "event": event}))

    files = LogFiles("eccmgr")
    for level in ("INFO", "DEBUG", "ERROR"):
        await (await files.prepare(logger(level), ())).carry_out()
        log("debug", f"detail-{level}")
        log("warning", f"warning-{level}")
    await files.close()
    written = {path.name: [*map(_event, path.read_text().splitlines())] for path in folder.iterdir()}
    assert written == {
        "one": ["warning-INFO", "detail-DEBUG", "warning-DEBUG"],
        "two": ["warning-INFO", "warning-DEBUG", "warning-ERROR"],
    }


def test_guardian_lines_have_the_form_of_all(capfd: pytest.CaptureFixture[str]) -> None:
    guardian_log("ready", "warning", reason='one\nlevel=error "two"', fence="ipset", none="")
    (line,) = capfd.readouterr().err.splitlines()
    form = r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z level=warning program=guardian event=ready"
    assert re.fullmatch(form + r' reason="one\?level=error \?two\?" fence=ipset none=""', line)


_SPEAKING = """
import os, sys
there = os.fstat(2)
if "journal" in sys.argv:
    os.environ["JOURNAL_STREAM"] = f"{there.st_dev}:{there.st_ino}"
if "elsewhere" in sys.argv:
    os.environ["JOURNAL_STREAM"] = f"{there.st_dev}:{there.st_ino + 1}"
if "json" in sys.argv:
    os.environ["ECCMGR_LOG_FORMAT"] = "json"
from eccmgr.logs.files import configure_logs
from worker.guardian.process import log
import structlog
configure_logs("ecnode", 0)
structlog.get_logger().info("one", reason="a\\nb\\x1b[2J")
structlog.get_logger().warning("two", count=2)
log("three", level="error", name="x")
"""


def test_journal_gets_the_priority_of_each_line() -> None:
    assert [line[:8] for line in logged(_SPEAKING, "journal")] == ["<6>time=", "<4>time=", "<3>time="]
    assert [line[:5] for line in logged(_SPEAKING, "elsewhere")] == ["time="] * 3


def test_json_lines_hold_the_whole_event() -> None:
    one, two, three = map(json.loads, logged(_SPEAKING, "json"))
    assert list(one)[:4] == ["time", "level", "program", "event"]
    assert (one["level"], one["event"], one["reason"]) == ("info", "one", "a\nb\x1b[2J")
    assert two["count"] == 2
    assert (three["level"], three["program"], three["event"], three["name"]) == ("error", "guardian", "three", "x")
