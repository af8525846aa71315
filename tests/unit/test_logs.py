"""What is logged comes as one structured line an event, whoever says it."""

import subprocess
import sys
from pathlib import Path

import pytest

from eccmgr.channels import Channel
from eccmgr.config.files.load import load_text
from eccmgr.config.live.effective import Overrides, ScopeView
from eccmgr.config.schema.known import SCHEMA
from eccmgr.logs import LogFiles
from tests.daemons import ROOT

_PROGRAM = """
import logging, sys
from eccmgr import logs
files = logs.configure("ecnode", 0)
logging.getLogger("rq.worker").warning("job %s stopped", "a b")
logging.getLogger("rq.worker").info("nothing of note")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("asyncio").exception("task failed")
"""


def test_library_log_records_are_ordinary_events() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    stopped, failed = done.stderr.splitlines()
    assert stopped.startswith("time=")
    assert stopped.endswith('level=warning program=ecnode event="job a b stopped" library=rq.worker')
    assert 'level=error program=ecnode event="task failed"' in failed
    assert "ZeroDivisionError" in failed


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


def _event(line: str) -> str:
    assert "channel" not in line
    return line.partition("event=")[2].strip('"')
