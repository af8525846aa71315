"""Masks secrets as `********`, in values and in the texts of files, except for callers who may see them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from eccmgr.config.schema.types import is_boolean
from eccmgr.config.syntax.document import Node, OptionNode, ScopeNode
from eccmgr.config.syntax.parse import parse_text
from eccmgr.config.syntax.values import Dictionary, ItemList, Text, Value, format_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eccmgr.config.schema.spec import OptionSpec, ScopeSpec

MASK = "********"

_SECRET_NAME = re.compile(
    r"(?:password|passwd|passphrase|secret)\d*$|(?:^|[_-])(?:pass|pwd|token|credentials?)\d*$", re.IGNORECASE
)
_PARAMETER = (
    r"(?<![\w.-])([\w.-]*?(?:password|passwd|passphrase|secret|(?<![A-Za-z0-9])(?:pass|pwd|token|credentials?))\d*"
    r"\s*=\s*)"
)
_IN_ANY_TEXT = re.compile(_PARAMETER + r"('[^']*'|[^;&\s]+)", re.IGNORECASE)
_IN_SECRET_TEXT = re.compile(_PARAMETER + r"('[^']*'|[^;&]+)", re.IGNORECASE)
# Possessive: a megabyte of text that almost matches is read once, not once from each of its characters.
_URL_ANY = re.compile(r"(://[^:/@\s]*+:)([^/\s]++)")
_URL_SECRET = re.compile(r"(://[^:/@\s]*+:)(\S++)")
_ASSIGNMENT = re.compile(
    r"""(?<![^\s#/"'={}\[\]()])([^\s#/"'={}\[\]()]++)(\s*+=?\s*+)("[^"\n]*+"?|[^\s{}\[\]()#"]++)"""
)


def is_secret_name(name: str) -> bool:
    """Whether the whole value of an option or key of this name is a secret."""
    return _SECRET_NAME.search(name) is not None


def is_secret(name: str, spec: OptionSpec | None) -> bool:
    """Whether an option's value is a secret or contains one."""
    return (spec is not None and spec.secret) or is_secret_name(name)


def masked(name: str, value: Value, spec: OptionSpec | None) -> Value:
    """`value` with the secrets in it masked; unchanged if it holds none."""
    secret = spec is not None and spec.secret
    match value:
        case Text():
            return _masked_text(name, value, secret)
        case ItemList(items):
            return ItemList(tuple(_masked_text(name, item, secret) for item in items))
        case Dictionary(pairs):
            return Dictionary(
                tuple(
                    (key, _masked_text(name if is_secret_name(name) else key.text, item, secret)) for key, item in pairs
                )
            )


def mask_parameters(text: str, *, secret: bool = False) -> str:
    """`text` with `password=…` and `://user:…@` masked; in a `secret` text a password may contain white space."""
    if "=" not in text and "://" not in text:
        return text
    parameter, url = (_IN_SECRET_TEXT, _URL_SECRET) if secret else (_IN_ANY_TEXT, _URL_ANY)
    return url.sub(_masked_login, parameter.sub(rf"\g<1>{MASK}", text))


def _masked_login(found: re.Match[str]) -> str:
    """Mask the password of `://user:PASSWORD@host`, which the last `@` ends."""
    password, sign, host = found[2].rpartition("@")
    return f"{found[1]}{MASK}{sign}{host}" if password else found[0]


def _masked_text(name: str, value: Text, secret: bool) -> Text:
    # The value of `returns_password = "true"` is not a password.
    if is_secret_name(name) and value.text and not is_boolean(value.text):
        return Text(MASK, value.quoted)
    return Text(mask_parameters(value.text, secret=secret), value.quoted)


def masked_text(path: str, text: str, schema: ScopeSpec) -> str:
    """`text` with secret values masked, in comments too; in a text that does not parse, more than the secrets."""
    document, faults = parse_text(path, text)
    parts: list[str] = []
    copied = 0
    if not faults:
        for start, end, replacement in _secrets(document.items, schema):
            parts += [_masked_lines(text[copied:start]), replacement]
            copied = end
    parts.append(_masked_lines(text[copied:]))
    return "".join(parts)


def _secrets(items: Sequence[Node], spec: ScopeSpec | None) -> Iterator[tuple[int, int, str]]:
    for node in items:
        if isinstance(node, ScopeNode):
            yield from _secrets(node.items, spec.scope(node.kind) if spec else None)
        elif isinstance(node, OptionNode):
            hidden = masked(node.name, node.value, spec.option(node.name) if spec else None)
            if hidden != node.value:
                yield node.value_start, node.end, format_value(hidden)


def _masked_lines(text: str) -> str:
    """Mask text outside of parsed values, such as a setting that is commented out."""
    hidden = _ASSIGNMENT.sub(_masked_assignment, text)
    return "\n".join(mask_parameters(line) for line in hidden.split("\n"))


def _masked_assignment(found: re.Match[str]) -> str:
    name, sign, value = found.groups()
    return f"{name}{sign}{MASK}" if is_secret_name(name) and value.strip('"') else found[0]
