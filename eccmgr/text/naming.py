"""The rule for the names of clusters, nodes and subclusters."""

import re

LONGEST_NAME = 63
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")
ALLOWED = "1-63 of A-Z a-z 0-9 . _ - are allowed, a letter or digit first"


def is_plain_name(text: str) -> bool:
    """Whether `text` is a valid name."""
    return _NAME.fullmatch(text) is not None
