"""What the agent keeps of a job, and what the worker process says of it."""

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from eccmgr.node.messages import Life
from eccmgr.redis.reading import check_lines, decoded, parsing

LONGEST_S = 1e9
_RETRIES_MAX = 1000
_ID = r"\A[A-Za-z0-9-]{1,64}\Z"


def job_id(cluster: str, node: str, command_id: str) -> str:
    """The id of the job that a command becomes on a node: to hand it over again makes no second one."""
    return hashlib.sha256(f"{cluster}/{node}/{command_id}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Record:
    """A job that is not finished: of which command, claimed in which life of the node, and who has ended it if so.

    A command that was typed on the node itself has no id.
    """

    job: Annotated[str, msgspec.Meta(pattern=_ID)]
    command_id: str
    text: str
    issuer: str
    life: Life
    timeout_s: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_S)]
    retries: Annotated[int, msgspec.Meta(ge=0, le=_RETRIES_MAX)] = 0
    """How often it may be begun again."""
    ended_by: str | None = None
    """The user who ended this job; '' where its command was withdrawn."""

    def dump(self) -> str:
        """As it is kept."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def parse(cls, raw: bytes) -> "Record":
        """Read one back. Raises Unreadable."""
        with parsing("What the journal keeps of a job"):
            found = decoded(_record, raw)
            check_lines(found.command_id, found.issuer, found.life.private_name, found.ended_by)
            return found


_record = msgspec.json.Decoder(Record)


class Stage(enum.StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    ABORTED = "aborted"
    """It was ended by somebody."""
    LOST = "lost"
    """Its process died, or nothing is known of it any more."""

    @property
    def final(self) -> bool:
        """Whether nothing more will come of it."""
        return self not in (Stage.QUEUED, Stage.RUNNING)


@dataclass(frozen=True)
class Standing:
    """How a job stands: its progress in percent where it has told any, its output where it has ended."""

    job: str
    stage: Stage
    progress: float | None = None
    output: str = ""
    command: str = ""
    """The command, its secrets hidden."""
    age_s: float = 0.0
    took_s: float = 0.0

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> "Standing":
        """Read what the worker process says. Raises Unreadable."""
        with parsing("What the job worker says of a job"):
            return msgspec.convert(said, cls)

    @property
    def percent(self) -> str:
        """`40 %`; `queued`; empty where it has told nothing."""
        if self.stage is Stage.QUEUED:
            return "queued"
        return "" if self.progress is None else f"{self.progress:.0f} %"
