"""Worker process and agent can exchange their messages, whatever is in Redis."""

from pathlib import Path

import fakeredis
import pytest
from rq.serializers import JSONSerializer

from worker.jobs.exchange import Question, Told, line_of, read_question, read_told
from worker.jobs.journal import JobJournal
from worker.jobs.patience import Whereabouts
from worker.jobs.records import Stage
from worker.jobs.requests import Requests
from worker.jobs.rq_job import Home, NodeJob, NodeQueue


def test_text_outside_unicode_hides_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NodeJob, "home", Home("east1", 100, JobJournal(tmp_path), lambda *_: {}), raising=False)
    queue = NodeQueue("east1", connection=fakeredis.FakeRedis(), serializer=JSONSerializer)
    requests = Requests(queue, 100, Whereabouts())
    for job in "ab":
        requests.enqueue(job=job, shown="pid", command_id=job, timeout_s=1.0, retries=0)
    requests.stop(job="a", by="root")
    stopped = NodeJob.fetch("a", queue.connection, queue.serializer)
    stopped.meta["ended_by"] = "\ud800"
    stopped.save_meta()
    said = requests.look(jobs=["a", "b"])
    assert [each["stage"] for each in said] == [Stage.LOST, Stage.QUEUED]
    assert read_told(line_of(Told(1, said))).answer[1]["command"] == "pid"


@pytest.mark.parametrize("limit", ["[[", "soon", "1 day", "-1", "9" * 400])
def test_time_limit_that_is_none_hides_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(NodeJob, "home", Home("east1", 100, JobJournal(tmp_path), lambda *_: {}), raising=False)
    queue = NodeQueue("east1", connection=fakeredis.FakeRedis(), serializer=JSONSerializer)
    requests = Requests(queue, 100, Whereabouts())
    for job in "ab":
        requests.enqueue(job=job, shown="pid", command_id=job, timeout_s=1.0, retries=0)
    queue.connection.hset(NodeJob.key_for("a"), "timeout", limit)
    assert [each["stage"] for each in requests.look(jobs=["a", "b"])] == [Stage.LOST, Stage.QUEUED]


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"number": "1", "do": "look", "arguments": {}}', b"[" * 100_000])
def test_a_line_of_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        read_question(raw)
    assert read_question(line_of(Question(1, "look", {}))) == Question(1, "look", {})
