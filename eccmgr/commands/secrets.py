"""Secrets in command lines: what may be shown, logged and kept of a command that sets one."""

import re

from eccmgr.config import paths
from eccmgr.config.known import SCHEMA
from eccmgr.config.masking import MASK, is_secret, masked
from eccmgr.config.schema import ScopeSpec
from eccmgr.config.tree import Scope
from eccmgr.errors import EccmgrError

_schemas = [SCHEMA]

# Wherever it stands: `broadcast`, `gather --timeout 5 @east` and their kin carry it behind words of their own.
_SET = re.compile(r"(?:\A|\s)config\s++set\s++", re.IGNORECASE)


def learn(schema: ScopeSpec) -> None:
    """Know the secrets of `schema` too: modules have options of their own."""
    if schema not in _schemas:
        _schemas.append(schema)


def without_secrets(line: str) -> str:
    """`line`, with `********` for the value of a `config set` that holds a secret."""
    match = _SET.search(line)
    if match is None:
        return line
    for schema in _schemas:
        line = _without_secrets(line, match, schema)
    return line


def _without_secrets(line: str, match: re.Match[str], schema: ScopeSpec) -> str:
    operands = line[match.end() :]
    try:
        found = paths.to_assignment(paths.start(Scope(), schema), operands)
        if found is None:
            return line
        here, option, value_at, _ = found
        value = paths.value_of(operands[value_at:])
    except EccmgrError:
        # What cannot be read cannot be told from a secret.
        return line[: match.end()] + MASK
    spec = here.spec.option(option) if here.spec else None
    if is_secret(option, spec) or masked(option, value, spec) != value:
        return line[: match.end() + value_at].rstrip() + f" {MASK}"
    return line
