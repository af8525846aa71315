"""Tags: names with values that a node has, such as `role=mta dc=ams`. Pure.

Some tags are facts that the node states about itself (`FACTS`); an operator chooses the others. This module alone reads
and checks tags, wherever they come from: a file, a console, a command line, a program, Redis.
"""

import re
from collections.abc import Iterable, Mapping

Tags = Mapping[str, str]
"""The values of tags by their names, which are in small letters."""

FACTS = ("os", "version", "python", "arch")
"""The names of the tags that a node states about itself; nobody else gives them."""
MAX_TAGS = 16
"""The maximum number of tags of a node, without the facts."""
LONGEST_LINE = 1024
"""The maximum length in characters of all tags of a node in one line, with the facts."""
_LONGEST_GIVEN = 768
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,31}")
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}")
_NO_VALUE = re.compile(r"[^A-Za-z0-9._+-]+")
_NAME_RULE = "1-32 of A-Z a-z 0-9 . _ -, a letter first"
_VALUE_RULE = "1-63 of A-Z a-z 0-9 . _ + -, a letter or digit first"
_SHOWN = 80


class TagError(ValueError):
    """Raised for a tag that is not allowed; the message says why, and what would be right."""


def given_tags(pairs: Iterable[tuple[str, str]]) -> Tags:
    """Check the tags that an operator gives a node. Raises TagError."""
    tags = _checked(pairs)
    if fact := next((name for name in tags if name in FACTS), ""):
        raise TagError(f"the tag '{fact}' is a fact that the node states itself; choose another name")
    if len(tags) > MAX_TAGS:
        raise TagError(f"{len(tags)} tags; a node has at most {MAX_TAGS}")
    if len(line_of(tags)) > _LONGEST_GIVEN:
        raise TagError(f"the tags take more than {_LONGEST_GIVEN} characters together")
    return tags


def given_tag(text: str) -> tuple[str, str]:
    """The name and the value in `role=mta`. Raises TagError."""
    name, equals, value = text.partition("=")
    if not equals:
        raise TagError(f"'{text[:_SHOWN]}' is not a tag; write it like role=mta")
    return name.strip(), value.strip()


def read_line(line: str) -> Tags:
    """Read the tags that `line_of` wrote, with the facts. Raises TagError."""
    if len(line) > LONGEST_LINE:
        raise TagError(f"the tags take more than {LONGEST_LINE} characters")
    return _checked(map(given_tag, line.split()))


def line_of(tags: Tags) -> str:
    """All tags in one line, the facts last: `dc=ams role=mta arch=x86_64`."""
    return " ".join(f"{name}={tags[name]}" for name in sorted(tags, key=lambda name: (name in FACTS, name)))


def is_tag_name(text: str) -> bool:
    """Whether `text` can be the name of a tag."""
    return _NAME.fullmatch(text) is not None


def as_value(text: str) -> str:
    """The value that stands for `text`, which comes from the system: what no value may hold becomes a `-`."""
    return _NO_VALUE.sub("-", text).lstrip("._+-")[:63] or "unknown"


def _checked(pairs: Iterable[tuple[str, str]]) -> Tags:
    tags: dict[str, str] = {}
    for name, value in pairs:
        if not _NAME.fullmatch(name):
            raise TagError(f"'{name[:_SHOWN]}' cannot name a tag; a name is {_NAME_RULE}")
        if not _VALUE.fullmatch(value):
            raise TagError(f"'{value[:_SHOWN]}' cannot be the value of the tag '{name}'; a value is {_VALUE_RULE}")
        if name.lower() in tags:
            raise TagError(f"the tag '{name}' is given twice; a node has one value of a tag")
        tags[name.lower()] = value
    return tags
