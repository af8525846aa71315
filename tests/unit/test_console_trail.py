"""What a console makes of a command whose connection broke: each event once, and the answer of an unbroken one."""

import json
from collections.abc import Mapping
from typing import Any

from cli.console.following import Trail, said_of
from eccmgr.commands.answer import Exit, Format, Status
from eccmgr.control.client.session import Result

ID = "01KB3ZC0WV9Y"
HEADER = f"# {ID}  pid  12:33:20  2 of 3 answered, 1 failed, 1 lost"
NODES = [
    {"node": "east1", "state": "ok", "seconds": 0.1, "text": "7"},
    {"node": "east2", "state": "failed", "seconds": 0.2, "text": "no", "late": 2.0},
    {"node": "west1", "state": "lost", "seconds": 2.5, "text": ""},
]
LINES = ["east1: 7", "east2: failed: no (late, 2 s)", "west1: (lost)"]
REPORT = {
    "command": f"attach --timeout 0 {ID} all",
    "status": "partial",
    "body": "\n".join((HEADER, *LINES)),
    "id": ID,
    "expected": 3,
    "answered": 2,
    "nodes": NODES,
}
ATTACHED = Result(Status.PARTIAL, Exit.PARTIAL, json.dumps(REPORT))


def trail(*events: Mapping[str, Any]) -> tuple[Trail, list[Mapping[str, Any]]]:
    heard: list[Mapping[str, Any]] = []
    made = Trail(heard.append)
    for event in events:
        made.take(event)
    return made, heard


BEGUN = {"event": "progress", "command_id": ID, "nodes": ["east1"]}
FIRST = {"event": "response", "line": "east1: 7", **NODES[0]}


def test_repeated_events_are_passed_on_once() -> None:
    counts = {"event": "progress", "counts": {"ok": 1}}
    made, heard = trail(BEGUN, FIRST, counts, BEGUN, FIRST, counts, {"event": "response", **NODES[2]})
    assert heard == [BEGUN, FIRST, counts, counts, {"event": "response", **NODES[2]}]
    assert made.id == ID


def test_rest_leaves_out_what_was_shown() -> None:
    made, _ = trail(BEGUN, FIRST)
    rest = made.answer(ATTACHED, "gather pid", Format.TEXT, whole=False)
    assert rest == Result(Status.PARTIAL, Exit.PARTIAL, "\n".join((*LINES[1:], HEADER)))
    assert made.answer(ATTACHED, "gather pid", Format.TEXT, whole=True).body == "\n".join((HEADER, *LINES))


def test_answer_has_the_form_and_command_asked_for() -> None:
    made, _ = trail(BEGUN)
    for line, form in (("gather pid", Format.JSON), ("json gather pid", Format.TEXT)):
        fields = json.loads(made.answer(ATTACHED, line, form, whole=False).body)
        assert fields == {**REPORT, "command": "gather pid"}
        assert list(fields)[:3] == ["command", "status", "body"]
    xml = made.answer(ATTACHED, "xml gather pid", Format.TEXT, whole=True).body
    assert xml.startswith(f'<Answer Command="gather pid" Status="partial" Id="{ID}"')
    assert '  <Response Node="east1" State="ok">7</Response>' in xml


def test_user_is_told_of_break_and_mending() -> None:
    made, heard = trail(BEGUN)
    made.say("cut off", reason="it broke")
    made.say("attached", endpoint="/tmp/2025")
    assert [said_of(event) for event in heard] == [
        "",
        f"it broke; attaching to {ID}",
        f"Attached to {ID} at /tmp/2025",
    ]
