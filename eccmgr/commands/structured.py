"""The fields of an answer as XML: its scalars are attributes, its lists elements.

`{"view": 17, "members": [{"name": "east1", "vips": ["10.1.1.1"], "tags": {"dc": "ams"}}]}` becomes the attribute
`View="17"` and the element `<Member Name="east1"><Vip>10.1.1.1</Vip><Tag Name="dc">ams</Tag></Member>`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from eccmgr.commands.answer import xml_attribute, xml_text

_NAME = re.compile("[a-z][a-z0-9_]*")
"""The names of our own fields. A module may have others, which need not be names in XML."""
_LONGEST = 1000


def attributes(fields: Mapping[str, Any], taken: Collection[str] = ()) -> str:
    """The scalars of `fields`, each as ` Name="value"`; None, and texts of several lines, are left out.

    So are the names that are `taken` already.
    """
    written = ((_titled(name), _scalar(value)) for name, value in fields.items() if _NAME.fullmatch(name))
    kept = ((name, text) for name, text in written if text is not None and name not in taken)
    return "".join(f" {name}={xml_attribute(text)}" for name, text in kept)


def elements(fields: Mapping[str, Any], indent: str = "  ") -> str:
    """The lists and objects of `fields`, an element on a line of its own for each item."""
    return "".join(
        f"\n{indent}{line}"
        for name, value in fields.items()
        if _NAME.fullmatch(name)
        for line in _items(_titled(_singular(name)), value, indent)
    )


def _items(name: str, value: object, indent: str) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, Mapping):
                inside = elements(item, f"{indent}  ")
                inside = f"{inside}\n{indent}" if inside else ""
                yield f"<{name}{attributes(item)}>{inside}</{name}>" if inside else f"<{name}{attributes(item)}/>"
            elif (text := _scalar(item)) is not None:
                yield f"<{name}>{xml_text(text)}</{name}>"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if (text := _scalar(item)) is not None:
                yield f"<{name} Name={xml_attribute(str(key))}>{xml_text(text)}</{name}>"


def _scalar(value: object) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str() if len(value) <= _LONGEST and "\n" not in value:
            return value
    return None


def _titled(name: str) -> str:
    return "_".join(part.capitalize() for part in name.split("_"))


def _singular(name: str) -> str:
    return name.removesuffix("s")
