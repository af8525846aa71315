"""The worker process of a node: `python -m worker.jobs`, started by the agent, told on its input what to work with."""

import contextlib
import json
import os
import signal
import sys
import threading
from typing import Any, BinaryIO

from eccmgr import streams

streams.open_streams()

# What RQ reads when it is imported.
_settings: dict[str, Any] = json.loads(sys.stdin.buffer.readline() or b"{}")
if not _settings:
    sys.exit("worker.jobs: started by ecnode, not by hand")
os.environ["RQ_KEY_PREFIX"] = _settings["prefix"]

import redis  # noqa: E402
from rq import Queue  # noqa: E402
from rq.serializers import JSONSerializer  # noqa: E402

from eccmgr import logs  # noqa: E402
from eccmgr.config.effective import ScopeView  # noqa: E402
from eccmgr.config.load import load_text  # noqa: E402
from eccmgr.modules.catalogue import installed  # noqa: E402
from worker.jobs import horse  # noqa: E402
from worker.jobs.requests import Requests  # noqa: E402
from worker.jobs.rq_worker import NodeWorker, patiently  # noqa: E402


def main() -> None:
    """Work until the input ends, and the job at hand with it."""
    # What a module prints belongs into the log, not between the answers.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    streams.forgive_output()
    logs.configure("ecnode job", 0)
    requests = Requests(_queue(), _settings["results_ttl_s"])
    dead = set(_settings["dead"])
    if not _settings["works"]:
        with contextlib.suppress(redis.RedisError):
            requests.abandon(dead)
        _serve(requests, answers)
        return
    horse.put_into(_stable())
    # Two connections: the worker forks while the other thread may be using its own.
    threading.Thread(target=_serve_and_end, args=(requests, answers), daemon=True).start()
    patiently(lambda: requests.abandon(dead))
    worker = NodeWorker(_queue(), _settings["name"])
    worker.work(logging_level="WARNING")
    worker.end_some_day()


def _queue() -> Queue:
    client = redis.Redis.from_url(_settings["url"], socket_connect_timeout=5, health_check_interval=15)
    return Queue(_settings["queue"], connection=client, serializer=JSONSerializer)


def _stable() -> horse.Stable:
    catalogue = installed()
    loaded = load_text(_settings["configuration"], catalogue.schema)
    return horse.Stable(
        catalogue,
        ScopeView(loaded.root, (), None, catalogue.schema),
        _settings["node"],
        _settings["cluster"],
        _settings["link"],
        _settings["max_bytes"],
    )


def _serve(requests: Requests, answers: BinaryIO) -> None:
    """Answer what the agent asks, a line each, until its end."""
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        try:
            said = {"answer": getattr(requests, asked["do"])(**asked["with"])}
        except redis.RedisError as error:
            said = {"error": f"Redis does not answer the job worker: {error}"}
        try:
            answers.write(json.dumps({"number": asked["number"], **said}).encode() + b"\n")
        except OSError:
            return


def _serve_and_end(requests: Requests, answers: BinaryIO) -> None:
    """The same; then let the worker end after its job."""
    _serve(requests, answers)
    os.kill(os.getpid(), signal.SIGTERM)


main()
