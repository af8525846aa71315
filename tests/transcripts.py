"""What a page of the documentation types, with the answers that it shows; compared with the answers of a run."""

import getpass
import os
import re
from dataclasses import dataclass, field

WRITES = bool(os.environ.get("TRANSCRIPTS"))
"""Whether this run writes its answers into the pages."""
_TYPED = re.compile(r"( {4,})(\d\d:\d\d:\d\d \S+> |\$ )(.+)")
_VARIES = (
    # Shown above the answers only if they come at once.
    (r"(?m)^01[0-9A-Z]{10} for \d+ nodes?\n", ""),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?", "MOMENT"),
    (r"\d\d:\d\d(:\d\d)?", "TIME"),
    (r"/tmp/eccmgr-demo-\w+", "FOLDER"),
    (r"\b01[0-9A-Z]{10}\b", "ID"),
    (r"#(mgr|ec0)-\d+-[0-9a-f]+", r"#\1"),
    (r"Redis: .* standalone", "Redis: standalone"),
    (r"version \S+ r\(\w+\)", "version"),
    (r"r\((unknown|[0-9a-f]+)\)", "r(REVISION)"),
    (r"\b(arch|python)=\S+", r"\1"),
    (r"(\d+ [dhm] )*\d+(\.\d+)? (s|ms)\b", "SOME TIME"),
    (r"slowest \w+", "slowest NODE"),
    (r"Flushed \d+ commands?", "Flushed N commands"),
    (r"epoch \d+", "epoch N"),
    (r"\d+ +SOME TIME +(-|\w+)", "N SOME TIME BEFORE"),
    (r"\b(?=[a-f]*\d)([0-9a-f]{6}|[0-9a-f]{12})\b", "JOB"),
    (r"\b\d{2,}\b(?!\.)", "NUMBER"),
    (r" {2,}", " "),
)


@dataclass(frozen=True)
class Step:
    """A typed line with its prompt and its answer."""

    prompt: str
    line: str
    answer: list[str] = field(default_factory=list)


def steps(page: str) -> list[Step]:
    """What the page types, each line with the answer that the page shows."""
    found: list[Step] = []
    margin = ""
    for line in page.split("\n"):
        if typed := _TYPED.fullmatch(line):
            margin = typed[1]
            found.append(Step(typed[2], typed[3]))
        elif margin and line.startswith(margin):
            found[-1].answer.append(line.removeprefix(margin))
        else:
            margin = ""
    return found


def alike(answer: list[str], user: str) -> list[str]:
    """The lines of an answer without what differs from run to run, sorted: nodes answer in any order.

    `user` is the name that the pages have for whoever types.
    """
    text = re.sub(rf"\b{getpass.getuser()}\b", user, "\n".join(answer))
    for pattern, stands in _VARIES:
        text = re.sub(pattern, stands, text)
    return sorted(line.rstrip() for line in text.split("\n"))


def with_answers(page: str, given: list[Step], user: str) -> str:
    """The page with the answers of this run. `given` are all its steps."""
    lines, run, margin = [], iter(given), ""
    for line in page.split("\n"):
        if typed := _TYPED.fullmatch(line):
            step, margin = next(run), typed[1]
            shown = [step.prompt + step.line, *(part.replace(getpass.getuser(), user) for part in step.answer)]
            lines += [f"{margin}{part}".rstrip() for part in shown]
        elif not (margin and line.startswith(margin)):
            margin = ""
            lines.append(line)
    return "\n".join(lines)
