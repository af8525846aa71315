"""Follows a command to its end: if the connection breaks, the console attaches to the command at the same manager, or
at the next one."""

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from eccmgr.cluster.ids import command_id
from eccmgr.commands.answer import Answer, Format, Status, split_form
from eccmgr.control.client.session import Client, OnEvent, Result
from eccmgr.errors import ConnectionBroke, NoConnection, SignInFailed, UntrustedServer

_PATIENCE_S = 15.0
_FIRST_PAUSE_S, _PAUSE_S = 0.05, 1.0
_ON_ITS_WAY_S = 1.0

# A manager that answers so knows nothing of the command, and never will.
_NEVER = ("Nothing to attach to", "Unknown command")


def said_of(event: Mapping[str, Any]) -> str:
    """The line that tells a user of an event of the console itself; empty for any other event."""
    match event.get("event"):
        case "cut off":
            return f"{event['reason']}; attaching to {event['id']}"
        case "attached":
            return f"Attached to {event['id']} at {event['endpoint']}"
    return ""


class FollowingClient(Client):
    """A client that loses no command whose id it has heard of.

    The events of a broken and mended stream are those of an unbroken one, each response once, with these between:
    `{"event": "cut off", "id": …, "reason": …}` and `{"event": "attached", "id": …, "endpoint": …}`.
    """

    def ask(
        self,
        command: str,
        deadline: float,
        form: Format = Format.TEXT,
        on_event: OnEvent | None = None,
        width: int = 80,
        *,
        whole: bool = False,
        run_on: bool = True,
        propose: str = "",
    ) -> Result:
        """As `Client.ask`. Raises ConnectionBroke if the command was not sent as far as can be known, or no manager
        answers."""
        if on_event is None:
            return super().ask(command, deadline, form, width=width, whole=whole)
        trail = Trail(on_event)
        if not propose and split_form(command)[1].split(maxsplit=1)[:1] == ["gather"]:
            # So the id is known even if the connection breaks before the first event.
            propose = command_id(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(2)))
        try:
            return super().ask(command, deadline, form, trail.take, width, whole=whole, run_on=run_on, propose=propose)
        except ConnectionBroke as error:
            if not trail.id and not propose:
                raise
            trail.proposed = propose
            result = self._attach(trail, deadline, width, error)
        return trail.answer(result, command, form, whole=whole)

    def _attach(self, trail: "Trail", deadline: float, width: int, broke: ConnectionBroke) -> Result:
        """Follow the command again until its end; answers its report in JSON. Raises NoAnswer."""
        cut_off_at, pause_s, reason = time.monotonic(), _FIRST_PAUSE_S, ""
        trail.say("cut off", reason=str(broke))
        while True:
            try:
                self.connect(deadline)
                trail.is_attaching = True
                line = f"attach --timeout 0 {trail.id or trail.proposed} all"
                result = super().ask(line, deadline, Format.JSON, self._telling(trail), width, whole=True, run_on=True)
            except ConnectionBroke as error:
                if not trail.is_attaching:
                    cut_off_at, broke, reason = time.monotonic(), error, ""
                    trail.say("cut off", reason=str(broke))
            except (SignInFailed, UntrustedServer) as error:
                raise ConnectionBroke(f"{broke}; {error}") from error
            except NoConnection as error:
                reason = str(error) if trail.id else f"{error}; if it was sent, ask later: attach {trail.proposed}"
            else:
                if result.status in (Status.OK, Status.PARTIAL):
                    return result
                reason = _body(result)
                if result.status is Status.DENIED or reason.startswith(_NEVER):
                    if trail.id:
                        raise ConnectionBroke(f"{broke}; {reason}")
                    # What a dead manager has sent may still be on its way to Redis.
                    if result.status is Status.DENIED or time.monotonic() >= cut_off_at + _ON_ITS_WAY_S:
                        raise broke
            left_s = min(cut_off_at + _PATIENCE_S, deadline) - time.monotonic()
            if left_s <= 0:
                raise ConnectionBroke(f"{broke}; {reason}" if reason else str(broke))
            time.sleep(min(pause_s, left_s))
            pause_s = min(_PAUSE_S, 2 * pause_s)

    def _telling(self, trail: "Trail") -> OnEvent:
        def take(event: Mapping[str, Any]) -> None:
            if trail.is_attaching:
                trail.is_attaching = False
                trail.say("attached", endpoint=str(self.endpoint))
            trail.take(event)

        return take


class Trail:
    """What was heard of one command, over all its connections."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self.id = ""
        """The command's id; empty until it is known."""
        self.proposed = ""
        """The id that the console proposed."""
        self.is_attaching = False
        """Whether the console waits for the first event of its attachment."""
        self._shown: set[str] = set()

    def take(self, event: Mapping[str, Any]) -> None:
        """Pass an event on, if it is new."""
        if made := event.get("command_id"):
            if self.id:
                return
            self.id = str(made)
        elif event.get("event") == "response":
            node = str(event["node"])
            if node in self._shown:
                return
            self._shown.add(node)
        self._on_event(event)

    def say(self, what: str, **facts: object) -> None:
        """Pass an event of the console itself on."""
        self._on_event({"event": what, "id": self.id, **facts})

    def answer(self, attached: Result, command: str, form: Format, *, whole: bool) -> Result:
        """The result that `command` would have had over one connection, from the report of an attachment, in JSON."""
        # Imported only here: a call that ends well does not need them.
        from cli.console.heard import outcome_of
        from eccmgr.commands.node_lines import line
        from eccmgr.commands.secrets import without_secrets

        fields: dict[str, Any] = json.loads(attached.body)
        text, status = str(fields.pop("body")), Status(fields.pop("status"))
        del fields["command"]
        named, carried = split_form(command, form)
        body = Answer(text, status, facts=fields).render(named, without_secrets(carried))
        if named is Format.TEXT and not whole:
            rest = (line(outcome_of(node)) for node in fields["nodes"] if str(node["node"]) not in self._shown)
            body = "\n".join((*rest, text.partition("\n")[0]))
        return Result(attached.status, attached.exit, body)


def _body(result: Result) -> str:
    try:
        return str(json.loads(result.body)["body"])
    except (ValueError, TypeError, KeyError):
        return result.body
