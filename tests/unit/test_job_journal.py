"""The journal of a node's jobs: only the jobs in it may run, each as often as it may."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from eccmgr.cluster.members import Life
from tests.logged import LogOf
from worker.jobs.journal import JobJournal, NotOurs
from worker.jobs.records import JobRecord
from worker.jobs.temporary import TemporaryFolder

JOB = JobRecord("eb31c8d67f59", "01M836WWPSB2", "exec:nap nap", "tom", Life("#ec0-1-a#n", 3), 60.0)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobJournal:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return JobJournal.of("lab", "east1", "127.0.0.1:6379")


def test_a_job_runs_once(journal: JobJournal) -> None:
    journal.keep(JOB)
    assert journal.begin(JOB.job) == JOB
    with pytest.raises(NotOurs, match="has run already"):
        journal.begin(JOB.job)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_journal_in_a_strangers_folder_counts_nothing(journal: JobJournal) -> None:
    journal.keep(JOB)
    planted = journal.folder
    os.chown(planted.parent, 65534, 65534)
    assert journal.records() == []
    with pytest.raises(NotOurs):
        journal.begin(JOB.job)
    journal.keep(JOB)
    assert journal.folder != planted
    journal.close()


def test_finished_job_that_cannot_be_removed_is_told(journal: JobJournal, log_of: LogOf) -> None:
    said = log_of("worker.jobs.journal")
    journal.keep(JOB)
    journal.begin(JOB.job)
    (journal.folder / JOB.job).unlink()
    (journal.folder / JOB.job).mkdir()
    journal.forget(JOB.job)
    assert [(event["event"], event["job"]) for event in said] == [("job stays in the journal", JOB.job)]
    assert (journal.folder / f"{JOB.job}.runs").exists(), "without its marks it would run again"


def test_journal_that_cannot_be_read_is_told(journal: JobJournal, log_of: LogOf) -> None:
    said = log_of("worker.jobs.journal")
    assert journal.records() == []
    assert said == [], "there is no journal yet"
    journal.folder.parent.mkdir()
    journal.folder.touch()
    assert journal.records() == []
    assert [event["event"] for event in said] == ["unfinished jobs are not known"]


def test_a_job_that_may_be_tried_again_is(journal: JobJournal) -> None:
    again = JobRecord(JOB.job, "", "x", "tom", JOB.life, 60.0, retries=1)
    journal.keep(again)
    journal.begin(JOB.job)
    journal.begin(JOB.job)
    with pytest.raises(NotOurs):
        journal.begin(JOB.job)


def test_finished_job_is_not_tried_again(journal: JobJournal) -> None:
    journal.keep(JobRecord(JOB.job, "", "x", "tom", JOB.life, 60.0, retries=5))
    journal.begin(JOB.job)
    journal.over(JOB.job)
    with pytest.raises(NotOurs):
        journal.begin(JOB.job)


@pytest.mark.parametrize("name", ["another", "", "..", "../../etc/passwd", "a/b", "é", "x" * 300, f"{JOB.job}.runs"])
def test_job_missing_from_the_journal_does_not_run(journal: JobJournal, name: str) -> None:
    journal.keep(JOB)
    with pytest.raises(NotOurs):
        journal.begin(name)


def test_a_job_that_was_ended_does_not_begin(journal: JobJournal) -> None:
    journal.keep(JobRecord(JOB.job, "", "x", "tom", JOB.life, 60.0, ended_by="tom"))
    with pytest.raises(NotOurs, match="ended"):
        journal.begin(JOB.job)


def test_a_later_life_finds_what_is_not_finished(journal: JobJournal) -> None:
    journal.keep(JOB)
    journal.begin(JOB.job)
    later = JobJournal.of("lab", "EAST1", "127.0.0.1:6379")
    assert later.records() == [JOB]
    later.forget(JOB.job)
    assert later.records() == []
    assert list(journal.folder.iterdir()) == []


def test_other_clusters_and_servers_have_own_journals(journal: JobJournal) -> None:
    places = {
        JobJournal.of(*each).folder
        for each in (("lab", "east1", "h:1"), ("lab", "east1", "h:2"), ("b", "east1", "h:1"))
    }
    assert len({*places, journal.folder}) == 4


def test_folder_writable_by_others_is_not_used(journal: JobJournal) -> None:
    journal.folder.mkdir(parents=True)
    journal.folder.chmod(0o777)
    elsewhere, before = journal, journal.folder
    elsewhere.keep(JOB)
    assert elsewhere.folder != before
    assert list(before.iterdir()) == []
    assert elsewhere.folder.stat().st_mode & 0o777 == 0o700
    elsewhere.close()
    assert not elsewhere.folder.exists()


def test_what_is_garbled_is_dropped_alone(journal: JobJournal) -> None:
    journal.keep(JOB)
    (journal.folder / "aaaa").write_bytes(b"[" * 100_000)
    os.symlink("/etc/passwd", journal.folder / "bbbb")
    assert journal.records() == [JOB]


def test_journals_of_dead_nodes_go_after_a_week(journal: JobJournal) -> None:
    now, left = journal_time(journal), JobJournal.of("lab", "gone", "127.0.0.1:6379")
    journal.keep(JOB)
    left.keep(JOB)
    strange = journal.folder.parent / "notes"
    strange.mkdir(0o700)
    for hours in range(7 * 24 + 1):
        journal.tend(now + hours * 3600)
    assert left.records() == [JOB]
    journal.tend(now + (7 * 24 + 2) * 3600)
    assert sorted(journal.folder.parent.iterdir()) == sorted((journal.folder, strange))
    assert journal.records() == [JOB]


def test_a_clock_set_forward_costs_no_journal(journal: JobJournal) -> None:
    now, other = journal_time(journal), JobJournal.of("lab", "east2", "127.0.0.1:6379")
    other.keep(JOB)
    for each in (journal, other, journal, other):
        each.tend(now + 30 * 24 * 3600)
    assert other.records() == [JOB]


def journal_time(journal: JobJournal) -> float:
    """The time at which the folder of `journal` is made."""
    journal.make()
    return journal.folder.stat().st_mtime


OF_A_KILLED_NODE = """
import os, signal
from worker.jobs.temporary import TemporaryFolder
print(TemporaryFolder().path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


class TestTemporaryFolders:
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        return tmp_path

    def test_folder_of_a_killed_process_is_removed(self, journal: JobJournal, place: Path) -> None:
        done = subprocess.run([sys.executable, "-c", OF_A_KILLED_NODE], capture_output=True, text=True, check=False)
        left = Path(done.stdout.strip())
        assert left.is_dir(), done.stderr
        assert left.parent == place
        journal.tend(time.time())
        assert not left.exists()

    def test_folder_in_use_and_others_stay(self, journal: JobJournal, place: Path) -> None:
        in_use = TemporaryFolder()
        old, writable, linked = (place / f"ecnode-jobs-{name}" for name in ("old", "writable", "linked"))
        for folder in (old, writable):
            folder.mkdir(0o700)
        (writable / "in.use").touch()
        writable.chmod(0o777)
        linked.symlink_to(writable)
        journal.tend(time.time())
        assert all(folder.exists() for folder in (in_use.path, old, writable, linked))
        journal.tend(time.time() + 8 * 24 * 3600)
        assert [folder.exists() for folder in (in_use.path, old, writable)] == [True, False, True]
        in_use.remove()
        assert not in_use.path.exists()

    def test_lock_is_no_job(self, place: Path) -> None:
        del place
        unusable = JobJournal(Path("/proc/nothing"))
        unusable.keep(JOB)
        assert unusable.records() == [JOB]
        unusable.close()
        assert not unusable.folder.exists()
