"""A control listener that plays what a test tells it: events of a gather, recorded or made up, and its report."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eccmgr.control import frames

_WAIT_S = 60.0


class PlayedGather:
    """One console's connection, on which a gather was asked for."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._decoder = frames.Decoder()
        self.request: dict[str, Any] = {}

    def hear(self) -> dict[str, Any]:
        """Wait for the next request."""
        while data := self._connection.recv(65536):
            for _, payload in self._decoder.feed(data):
                self.request = json.loads(payload)
                return self.request
        raise ConnectionError("the console has closed its connection")

    def tell(self, *events: dict[str, Any]) -> None:
        """Send events."""
        for event in events:
            self._send(frames.CHUNK, event)

    def end(self, body: str, status: str = "ok", exit_code: int = 0) -> None:
        """Send the report."""
        self._send(frames.RESULT, {"status": status, "exit": exit_code, "body": body})

    def _send(self, kind: int, fields: dict[str, Any]) -> None:
        self._connection.sendall(frames.encode(kind, json.dumps({"id": self.request["id"], **fields}).encode()))


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket at `path`, which waits for consoles."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(_WAIT_S)
        yield listener


@contextlib.contextmanager
def asked(listener: socket.socket) -> Iterator[PlayedGather]:
    """The next console that connects, once it has sent its request."""
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(_WAIT_S)
        played = PlayedGather(connection)
        played.hear()
        yield played


def sent(names: list[str], absent: tuple[str, ...] = ()) -> dict[str, Any]:
    """The first event."""
    return {
        "event": "progress",
        "command_id": "01KB3ZD4P1QX",
        "command": "reopen logs",
        "issued": "2026-11-28T12:41:10+00:00",
        "target": "@all",
        "expected": len(names) + len(absent),
        "nodes": names,
        "absent": [{"node": node, "state": "absent", "seconds": 0.0, "text": "", "since": None} for node in absent],
    }


def response(node: str, state: str = "ok", text: str = "", seconds: float = 0.9) -> dict[str, Any]:
    """A node's answer."""
    said = {"ok": text, "lost": "(lost)"}.get(state, f"{state}: {text}")
    facts = {"event": "response", "node": node, "state": state, "seconds": seconds, "text": text}
    return {**facts, "line": f"{node}: {said}"}


def progress(*groups: dict[str, Any], untold: int = 0, batch: tuple[int, int] | None = None) -> dict[str, Any]:
    """An event with the nodes that are open."""
    counts = {"running": sum(group["count"] for group in groups if group["state"] == "running")}
    facts = {"event": "progress", "counts": counts, "untold": untold, "waited_s": 2.0, "ends_in_s": 28.0}
    return {**facts, "open": list(groups), **({} if batch is None else {"batch": list(batch)})}
