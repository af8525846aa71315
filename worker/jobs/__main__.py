"""The worker process of a node. The agent starts it, and sends its settings as the first line of input."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from eccmgr.host import streams
from worker.jobs.exchange import Question, Told, line_of, read_question, read_work
from worker.jobs.lines import WorkerLines

streams.open_streams()
_asked: Iterator[bytes] = iter(WorkerLines(0))
# RQ reads these when it is imported.
try:
    _work = read_work(next(_asked, b""))
except ValueError:
    sys.exit("worker.jobs: started by ecnode, not by hand")
os.environ["RQ_KEY_PREFIX"] = _work.prefix

import redis  # noqa: E402
from rq.serializers import JSONSerializer  # noqa: E402

from eccmgr.access.policy import Policy  # noqa: E402
from eccmgr.config.files.load import load_text  # noqa: E402
from eccmgr.config.live.effective import ScopeView  # noqa: E402
from eccmgr.host.printed import PrintedLines  # noqa: E402
from eccmgr.host.undumpable import hide_memory  # noqa: E402
from eccmgr.logs.files import configure_logs  # noqa: E402
from eccmgr.modules.catalogue import installed  # noqa: E402
from eccmgr.redis.password import masked  # noqa: E402
from eccmgr.redis.refusals import refusal_of  # noqa: E402
from worker.jobs import horse  # noqa: E402
from worker.jobs.journal import JobJournal  # noqa: E402
from worker.jobs.mending import Mended  # noqa: E402
from worker.jobs.patience import JobRedis, Whereabouts, is_away, patiently  # noqa: E402
from worker.jobs.requests import Requests  # noqa: E402
from worker.jobs.rq_job import UNREADABLE, Home, NodeJob, NodeQueue  # noqa: E402
from worker.jobs.rq_worker import NodeWorker  # noqa: E402


def main() -> None:
    """Work until the input ends; the running job ends then too."""
    if masked(_work.url) != _work.url:
        hide_memory()
    # A module may print: that goes to the log, not between the answers.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    streams.forgive_output()
    configure_logs("ecnode job", 0)
    sys.stdout = sys.stderr = PrintedLines()
    journal = JobJournal(Path(_work.journal))
    NodeJob.home = Home(_work.queue, _work.results_ttl_s, journal, horse.perform)
    whereabouts = Whereabouts()
    requests = Requests(_queue(whereabouts, patient=False), _work.results_ttl_s, whereabouts)
    if not _work.works:
        with contextlib.suppress(redis.RedisError, *UNREADABLE):
            requests.abandon(set(_work.dead))
        _serve(requests, answers)
        return
    horse.put_into(_stable())
    # Each thread has a connection of its own, because the worker may fork while the other thread is in a call.
    threading.Thread(target=_serve_and_end, args=(requests, answers, whereabouts), daemon=True).start()
    try:
        _take_jobs(requests, whereabouts)
    except (redis.RedisError, *UNREADABLE) as error:
        # The agent starts another worker soon.
        sys.exit(f"ecnode job: ends, because Redis is not understood: {error}")


def _take_jobs(requests: Requests, whereabouts: Whereabouts) -> None:
    """Run the jobs of the queue, one after another, until the agent ends it."""
    patiently(requests.put_right, whereabouts)
    patiently(lambda: requests.abandon(set(_work.dead)), whereabouts)
    worker = NodeWorker(_queue(whereabouts, patient=True), _work.name)
    worker.work(logging_level="WARNING")
    with contextlib.suppress(redis.RedisError), worker.connection.hurried():
        worker.end_some_day()


def _queue(whereabouts: Whereabouts, *, patient: bool) -> NodeQueue:
    client = JobRedis.of(_work.url, whereabouts, patient=patient)
    return NodeQueue(_work.queue, connection=client, serializer=JSONSerializer)


def _stable() -> horse.Stable:
    catalogue = installed()
    loaded = load_text(_work.configuration, catalogue.schema)
    return horse.Stable(
        catalogue,
        ScopeView(loaded.root, (), None, catalogue.schema),
        Policy.of(_work.policy),
        _work.node,
        _work.cluster,
        _work.link,
        _work.max_bytes,
    )


def _serve(requests: Requests, answers: BinaryIO) -> None:
    """Answer the agent's requests, a line each, until the input ends."""
    for line in _asked:
        asked = read_question(line)
        try:
            said = line_of(Told(asked.number, _answer(requests, asked)))
        except redis.RedisError as error:
            said = line_of(_failure(asked, error))
        except UNREADABLE as error:
            said = line_of(Told(asked.number, error=f"RQ's data in Redis cannot be read: {error}"))
        try:
            answers.write(said)
        except OSError:
            return


def _answer(requests: Requests, asked: Question) -> Any:
    """Do what was asked, and try once more after a repair of RQ's data."""
    try:
        return getattr(requests, asked.do)(**asked.arguments)
    except (Mended, *UNREADABLE):
        requests.put_right()
        return getattr(requests, asked.do)(**asked.arguments)


def _failure(asked: Question, error: redis.RedisError) -> Told:
    kind = refusal_of(error)
    if kind is not None:
        refused = f"Redis refuses the job worker: {kind.why}; {kind.remedy}"
        return Told(asked.number, error=refused, undone="surely")
    if is_away(error):
        return Told(asked.number, error=f"Redis does not answer the job worker: {error}", undone="perhaps")
    return Told(asked.number, error=f"Redis refused the job worker: {error}")


def _serve_and_end(requests: Requests, answers: BinaryIO, whereabouts: Whereabouts) -> None:
    """Answer requests until the input ends; then let the worker end after its job. A worker that can answer no more
    ends too, or nobody could reach it."""
    try:
        _serve(requests, answers)
    finally:
        whereabouts.desert()
        os.kill(os.getpid(), signal.SIGTERM)


main()
