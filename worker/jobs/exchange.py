"""What agent and worker process say to each other: one JSON object a line, decoded by its type.

The worker process reads its first line before it imports anything that RQ needs to be told about.
"""

from typing import Any

import msgspec


class Work(msgspec.Struct, frozen=True):
    """The first line: what the worker process works with, under which `name`; without `works` it only answers.

    `url` is where Redis is now, `link` the address from which that was found, `dead` the workers that left jobs behind,
    `journal` the folder of the jobs that the agent has queued.
    """

    url: str
    link: str
    prefix: str
    queue: str
    node: str
    cluster: str
    configuration: str
    journal: str
    max_bytes: int
    results_ttl_s: int
    name: str
    dead: tuple[str, ...]
    works: bool


class Question(msgspec.Struct, frozen=True):
    """What the worker process is to `do`, with which arguments; its answer bears the same number."""

    number: int
    do: str
    arguments: dict[str, Any]


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a question, or the error; `undone` says `surely` or `perhaps` where Redis did not do it."""

    number: int
    answer: Any = None
    error: str | None = None
    undone: str | None = None


def line_of(said: msgspec.Struct | dict[str, Any]) -> bytes:
    """`said` as a line. Raises ValueError where it holds a text that is no valid Unicode."""
    return msgspec.json.encode(said) + b"\n"


read_work = msgspec.json.Decoder(Work).decode
read_question = msgspec.json.Decoder(Question).decode
read_told = msgspec.json.Decoder(Told).decode
