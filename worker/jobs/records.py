"""The agent's record of a job, and the worker process's report on it."""

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from eccmgr.cluster.members import Life
from eccmgr.redis.reading import check_lines, decoded, parsing

LONGEST_S = 1e9
_RETRIES_MAX = 1000
KEPT_S = 7 * 24 * 3600
"""The time in seconds for which RQ, and the journals on a host, keep the data of a node that does not come back."""
JOB_ID = r"\A[A-Za-z0-9-]{1,64}\Z"
"""The pattern of the id of a job."""


def job_id(cluster: str, node: str, command_id: str) -> str:
    """The id of the job that a command becomes on a node. It is always the same, so a repeated request makes no second
    job."""
    return hashlib.sha256(f"{cluster}/{node}/{command_id}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class JobRecord:
    """An unfinished job: its command, the life of the node that claimed the command, and the user who ended the job, if
    any.

    A command that was typed on the node itself has no id.
    """

    job: Annotated[str, msgspec.Meta(pattern=JOB_ID)]
    command_id: str
    text: str
    issuer: str
    life: Life
    timeout_s: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_S)]
    retries: Annotated[int, msgspec.Meta(ge=0, le=_RETRIES_MAX)] = 0
    """The number of times that it may begin again."""
    ended_by: str | None = None
    """The user who ended this job; '' if its command was withdrawn."""
    of: str = ""
    """The digest of the command's statement; '' if the command is not signed."""
    limited: bool | None = None
    """Whether the listener of its caller asks for a role; None if it came by no listener."""

    def dump(self) -> str:
        """The record as it is kept."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def parse(cls, raw: bytes) -> "JobRecord":
        """Read a record. Raises Unreadable."""
        with parsing("The journal's record of a job"):
            record = decoded(_record, raw)
            check_lines(record.command_id, record.issuer, record.life.private_name, record.ended_by)
            return record


_record = msgspec.json.Decoder(JobRecord)


class Stage(enum.StrEnum):
    """The stage of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    ABORTED = "aborted"
    """A user ended it."""
    LOST = "lost"
    """Its process died, or RQ does not know the job."""

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self not in (Stage.QUEUED, Stage.RUNNING)


@dataclass(frozen=True)
class JobStanding:
    """The state of a job: its progress in percent once it has reported any, its output once it has ended."""

    job: str
    stage: Stage
    progress: float | None = None
    output: str = ""
    command: str = ""
    """The command, without its secrets."""
    age_s: float = 0.0
    took_s: float = 0.0

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> "JobStanding":
        """Read a report of the worker process. Raises Unreadable."""
        with parsing("The job worker's report on a job"):
            return msgspec.convert(said, cls)

    @property
    def percent(self) -> str:
        """`40 %`; `queued`; empty if it has reported nothing."""
        if self.stage is Stage.QUEUED:
            return "queued"
        return "" if self.progress is None else f"{self.progress:.0f} %"
