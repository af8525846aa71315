"""Masks the secrets in command lines, before a line is shown, logged or kept."""

import re

from eccmgr.config.schema import paths
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.masking import MASK, is_secret, masked
from eccmgr.config.schema.spec import ScopeSpec
from eccmgr.config.syntax.tree import Scope
from eccmgr.errors import EccmgrError

_schemas = [SCHEMA]

# Anywhere in the line: `broadcast`, `gather --timeout 5 @east` and the like carry a command behind words of their own.
_SET = re.compile(r"(?:\A|\s)config\s++set\s++", re.IGNORECASE)


def learn(schema: ScopeSpec) -> None:
    """Mask the secrets of `schema` too: a module has options of its own."""
    if schema not in _schemas:
        _schemas.append(schema)


def without_secrets(line: str) -> str:
    """`line`, with `********` in place of the value of a `config set` that sets a secret."""
    match = _SET.search(line)
    if match is None:
        return line
    for schema in _schemas:
        line = _without_secrets(line, match, schema)
    return line


def _without_secrets(line: str, match: re.Match[str], schema: ScopeSpec) -> str:
    operands = line[match.end() :]
    try:
        assignment = paths.to_assignment(paths.start(Scope(), schema), operands)
        if assignment is None:
            return line
        scope, option, value_at, _ = assignment
        value = paths.value_of(operands[value_at:])
    except EccmgrError:
        # A line that cannot be parsed may hold a secret anywhere.
        return line[: match.end()] + MASK
    spec = scope.spec.option(option) if scope.spec else None
    if is_secret(option, spec) or masked(option, value, spec) != value:
        return line[: match.end() + value_at].rstrip() + f" {MASK}"
    return line
