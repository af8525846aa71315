"""The lines of nodes in a report. It imports nothing slow, because a console that folds answers uses it too."""

from collections.abc import Iterable

from eccmgr.cluster.absence import absent_for
from eccmgr.cluster.names import fold
from eccmgr.cluster.outcomes import Outcome, State


def line(outcome: Outcome) -> str:
    """The line of a node; several lines if its answer has several."""
    return _under(outcome.node, outcome)


def folded(outcomes: Iterable[Outcome]) -> list[str]:
    """The lines of `outcomes`; identical answers appear once, under the folded set of their nodes."""
    alike: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        alike.setdefault(_text(outcome), []).append(outcome)
    return [_under(fold(outcome.node for outcome in group), group[0]) for group in alike.values()]


def _under(name: str, outcome: Outcome) -> str:
    text = _text(outcome)
    if not _has_several_lines(text):
        return f"{name}: {text}"
    word, several = "", text
    if outcome.state is not State.OK:
        word, several = f" {outcome.state}:", text.removeprefix(f"{outcome.state}: ")
    return f"{name}:{word}\n" + "\n".join(f"  {line}".rstrip() for line in several.splitlines())


def _text(outcome: Outcome) -> str:
    said = _said(outcome)
    if outcome.late_s is None:
        return said
    return f"{said}{chr(10) if _has_several_lines(said) else ' '}(late, {outcome.late_s:.0f} s)"


def _has_several_lines(text: str) -> bool:
    """Whether a reader may see several lines: every character that any reader takes for a line's end counts."""
    return len(f"{text}.".splitlines()) > 1


def _said(outcome: Outcome) -> str:
    text = outcome.text.rstrip("\n")
    match outcome.state:
        case State.OK:
            return text or "(no output)"
        case State.FAILED | State.REFUSED:
            return f"{outcome.state}: {text}"
        case State.RUNNING if outcome.job:
            return f"({outcome.state}, job {', '.join(filter(None, (outcome.job, outcome.text)))})"
        case State.PENDING | State.RUNNING:
            return f"({outcome.state}, {outcome.seconds:.0f} s)"
        case State.ABSENT:
            return f"({absent_for(outcome.since_ms)})"
        case _:
            return f"({outcome.state})"
