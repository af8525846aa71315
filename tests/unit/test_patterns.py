"""Regular expressions that mean the same on every Python 3.11."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_possessive_quantifier_stands_behind_a_group() -> None:
    # Before Python 3.11.5 such a pattern keeps the text of a failed attempt: `x(?:-1)?+y` matches `x-y`.
    behind_a_group = re.compile(r"(?<!\\)\)(?:[*+?]|\{[0-9,]+\})\+")
    sources = [path for folder in ("eccmgr", "worker", "cli") for path in (ROOT / folder).rglob("*.py")]
    assert [str(path) for path in sources if behind_a_group.search(path.read_text())] == []
