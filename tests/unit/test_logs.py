"""What is logged comes as one structured line an event, whoever says it."""

import subprocess
import sys

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


def test_what_a_library_logs_is_an_event_like_any_other() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    stopped, failed = done.stderr.splitlines()
    assert stopped.startswith("time=")
    assert stopped.endswith('level=warning program=ecnode event="job a b stopped" library=rq.worker')
    assert 'level=error program=ecnode event="task failed"' in failed
    assert "ZeroDivisionError" in failed
