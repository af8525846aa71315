"""The console's display of answers."""

import io
import json
from typing import Any

import pytest

from cli.console.arguments import parse
from cli.console.display import Display, folded
from cli.console.settings import DisplaySettings
from eccmgr.commands.answer import Status
from eccmgr.control.client.session import Client, Result


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(text: str, *options: str, problem: bool = False, stream: io.StringIO | None = None) -> str:
    stream = stream or Terminal()
    asked = parse(options, {})
    Display(Client(asked.endpoint), asked).write(text, stream, problem=problem)
    return stream.getvalue()


def test_an_answer_cannot_steer_the_terminal() -> None:
    assert shown("a\x1b[2Jb\x07\x9bc\td", "--no-color") == "a^[[2Jb^G\\x9bc\td\n"
    assert shown("\u202etxt\u200b\u2028\x85", "--no-color") == "\\u202etxt\\u200b\\u2028\\x85\n"


def test_an_answer_that_cannot_be_folded_is_shown() -> None:
    for body in ("no JSON", "[]", '{"body": "x", "nodes": [7]}'):
        assert folded(body, DisplaySettings()) == (body, None)


def test_a_script_gets_an_answer_byte_for_byte() -> None:
    text = "a\x1b[2Jb\x07\neast1: (lost)"
    assert shown(text, stream=io.StringIO()) == text + "\n"


def test_on_a_terminal_what_went_wrong_stands_out() -> None:
    text = shown("# 01KB3ZC0WV9Y  pid  12:33:20  1 of 3 answered\neast1: 7\neast2: (lost)\neast3: failed: no")
    assert text == (
        "\x1b[1m# 01KB3ZC0WV9Y  pid  12:33:20  1 of 3 answered\x1b[0m\n"
        "east1: 7\neast2: \x1b[31m(lost)\x1b[0m\neast3: \x1b[31mfailed:\x1b[0m no\n"
    )
    assert shown("Unknown", problem=True) == "\x1b[31mUnknown\x1b[0m\n"
    assert "\x1b" not in shown("east2: (lost)", "--no-color")


@pytest.mark.parametrize("status", [Status.ERROR, Status.DENIED])
def test_only_problems_go_to_standard_error(capsys: pytest.CaptureFixture[str], status: Status) -> None:
    asked = parse([], {})
    Display(Client(asked.endpoint), asked).show(Result(status, 1, "no"), "no")
    Display(Client(asked.endpoint), asked).show(Result(Status.PARTIAL, 3, "some"), "some")
    assert capsys.readouterr() == ("some\n", "no\n")


def node(name: str, state: str, text: str = "", seconds: float = 2.0, **more: float) -> dict[str, Any]:
    return {"node": name, "state": state, "seconds": seconds, "text": text, **more}


def test_identical_answers_are_shown_once_under_their_nodes() -> None:
    nodes = [
        node("east1", "ok", "same\nlines"),
        node("east2", "ok", "same\nlines"),
        node("east3", "failed", "no"),
        node("west1", "lost"),
        node("west2", "ok", "same\nlines", late=4.2),
        node("west3", "lost"),
        node("west4", "pending"),
    ]
    body = json.dumps({"body": "# HEADER\neast1: …", "nodes": nodes})
    assert folded(body, DisplaySettings())[0].split("\n") == [
        "# HEADER",
        "east[1-2]:",
        "  same",
        "  lines",
        "east3: failed: no",
        "west[1,3]: (lost)",
        "west2:",
        "  same",
        "  lines",
        "  (late, 4 s)",
        "west4: (pending, 2 s)",
    ]


def test_answer_without_nodes_is_not_folded() -> None:
    assert folded(json.dumps({"body": "a\nb"}), DisplaySettings()) == ("a\nb", None)
