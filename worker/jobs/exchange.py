"""The messages between agent and worker process: one JSON object a line, decoded by its type.

The worker process reads the first line before it imports RQ, because RQ reads its settings when it is imported.
"""

from typing import Any

import msgspec

from eccmgr.access.policy import PolicyRecord


class Work(msgspec.Struct, frozen=True):
    """The first line: the settings and the `name` of the worker process.

    Without `works` it only answers requests. `url` is the present address of Redis, and `link` the address from which
    the agent found it. `dead` are the workers that left jobs behind. `journal` is the folder of the jobs that the agent
    has queued. `policy` says who may run a command.
    """

    url: str
    link: str
    prefix: str
    queue: str
    node: str
    cluster: str
    configuration: str
    policy: PolicyRecord
    journal: str
    max_bytes: int
    results_ttl_s: int
    name: str
    dead: tuple[str, ...]
    works: bool


class Question(msgspec.Struct, frozen=True):
    """A request: what to `do`, and the arguments. The answer has the same number."""

    number: int
    do: str
    arguments: dict[str, Any]


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a request, or the error. `undone` says whether Redis did not do it: `surely` or `perhaps`."""

    number: int
    answer: Any = None
    error: str | None = None
    undone: str | None = None


def line_of(said: msgspec.Struct | dict[str, Any]) -> bytes:
    """`said` as a line. Raises ValueError if it holds a text that is not valid Unicode."""
    return msgspec.json.encode(said) + b"\n"


read_work = msgspec.json.Decoder(Work).decode
read_question = msgspec.json.Decoder(Question).decode
read_told = msgspec.json.Decoder(Told).decode
