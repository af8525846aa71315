"""How a target looks as a word, before anybody knows the nodes that it means.

The handler of a gather, the normal form of a command and completion ask this, so that all of them see the same target.
"""

OPERATORS = ",&!^"
"""The signs between the sets of a target."""
_ONLY_IN_TARGETS = frozenset(f"[({OPERATORS}")
"""A word that holds one of these is a target, wherever a target may stand."""


def looks_like_a_target(word: str) -> bool:
    """Whether `word` can only be a target: `@…`, a set of nodes, or anything with an operator in it."""
    return word.lstrip().startswith("@") or not _ONLY_IN_TARGETS.isdisjoint(word)


def is_quoted_command(word: str) -> bool:
    """Whether `word`, without its quotes, is a whole command: it holds blanks and is no target."""
    return len(word.split()) != 1 and not looks_like_a_target(word)


def last_operand(target: str) -> tuple[str, str]:
    """Split `target` before its last operand: `@east&role:mta!ea` into `@east&role:mta!` and `ea`."""
    start, inside = 0, False
    for at, character in enumerate(target):
        if character in "[]":
            inside = character == "["
        elif character in f"{OPERATORS}()" and not inside:
            start = at + 1
    return target[:start], target[start:]
