"""Checks scopes and options against the schema; an unknown scope or option always passes."""

from eccmgr.config.schema.masking import MASK, is_secret
from eccmgr.config.schema.spec import Naming, OptionSpec, ScopeSpec
from eccmgr.config.schema.types import BadValueError, OptionType, convert
from eccmgr.config.syntax.document import MAX_DEPTH
from eccmgr.config.syntax.lexer import control_character, is_name
from eccmgr.config.syntax.tree import Path
from eccmgr.config.syntax.values import Dictionary, ItemList, Text, Value
from eccmgr.errors import CommandError

_SHOWN = 60


def option_fault(spec: OptionSpec, value: Value) -> tuple[str, str] | None:
    """The fault of a value: what was found, and what was expected. None if the value fits. Never shows a secret."""
    try:
        convert(spec.type, value, spec.low, spec.high)
    except BadValueError as error:
        return f"{spec.name} is {_found(spec, value)}", str(error)
    return None


def scope_fault(spec: ScopeSpec, name: str | None) -> tuple[str, str] | None:
    """The fault of a scope's name: what was found, and what was expected. None if the name, or its absence, fits."""
    if name is None and spec.naming is Naming.ALWAYS:
        return f"{spec.name} without a name", f'{spec.name} "NAME" {{ … }}'
    if name is not None and spec.naming is Naming.NEVER:
        return f"{spec.name} with a name", f"{spec.name} {{ … }}"
    if name is None or spec.name_type is None:
        return None
    try:
        convert(spec.name_type, Text(name))
    except BadValueError as error:
        return f"{spec.name} named '{name[:_SHOWN]}'", f"{error} as its name"
    return None


def _found(spec: OptionSpec, value: Value) -> str:
    match value:
        case ItemList():
            return "a list" if spec.type is not OptionType.PATTERNS else "a list that does not fit"
        case Dictionary():
            return "a dictionary" if spec.type is not OptionType.TAGS else "a dictionary that does not fit"
        case Text(text):
            if is_secret(spec.name, spec):
                return "a value that does not fit"
            return f"'{text[:_SHOWN]}'" + ("…" if len(text) > _SHOWN else "")


def check_setting(schema: ScopeSpec, path: Path, option: str, value: Value) -> None:
    """Raises CommandError if an option set at run time does not fit its type, or could not be written to a file."""
    scope: ScopeSpec | None = schema
    if len(path) > MAX_DEPTH:
        raise CommandError(f"A scope nested too deep, expected at most {MAX_DEPTH} scopes within each other")
    for step in path:
        scope = scope.scope(step.kind) if scope else None
        wrong = scope_fault(scope, step.name) if scope else None
        if wrong:
            raise CommandError(f"{wrong[0]}, expected {wrong[1]}")
        if not is_name(step.kind) or control_character(step.name or ""):
            raise CommandError(
                "Not the name of a scope, expected text without control characters, and a word as its kind"
            )
    if not is_name(option):
        raise CommandError(f"'{option}' cannot name an option, expected a word without any of # / \" ' = {{ }} [ ] ( )")
    spec = scope.option(option) if scope else None
    wrong = option_fault(spec, value) if spec else None
    if wrong:
        raise CommandError(f"{wrong[0]}, expected {wrong[1]}")
    texts = _texts(value)
    if any(control_character(part) for part in texts):
        raise CommandError(f"The value of {option} holds a control character, expected text")
    if any(MASK in part for part in texts) and is_secret(option, spec):
        raise CommandError(f"{MASK} only hides the value of {option}, expected the value itself")


def _texts(value: Value) -> list[str]:
    match value:
        case Text(text):
            return [text]
        case ItemList(items):
            return [item.text for item in items]
        case Dictionary(pairs):
            return [part.text for pair in pairs for part in pair]
