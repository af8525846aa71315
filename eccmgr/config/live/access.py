"""Checks a listener that a console adds: it must not be a way around the access that the other listeners demand."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from eccmgr.config.live.options import listeners
from eccmgr.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eccmgr.config.live.effective import ScopeView
    from eccmgr.config.live.options import ListenerOptions


def check_added(before: ScopeView, after: ScopeView) -> None:
    """Raises CommandError if a new listener is more open than the others. A listener is new if `before` lacks it or has
    it disabled."""
    others = listeners(before, "")
    known = {other.endpoint for other in others}
    for added in listeners(after, ""):
        if added.endpoint not in known and (lacking := next(_lacking(added, others), None)):
            raise CommandError(
                f'Listen "{added.endpoint}" would be more open than the other listeners ({lacking}), which is locked: '
                f"set {lacking} for all of them in Control_Listener, or add this one, in a file"
            )


def _lacking(added: ListenerOptions, others: Sequence[ListenerOptions]) -> Iterator[str]:
    """The options by which a listener is more open than all the others, or than one that demands more."""
    if any(other.authenticate for other in others) and not added.authenticate:
        yield "Enable_Authentication"
    if any(other.authorize for other in others) and not added.authorize:
        yield "Enable_Authorization"
    alike = [other for other in others if ("/" in other.endpoint) == ("/" in added.endpoint)]
    if not alike:
        return
    if "/" in added.endpoint:
        if added.file_mode & ~reduce(or_, (other.file_mode for other in alike)):
            yield "File_Mode"
        return
    if added.insecure and not any(other.insecure for other in alike):
        yield "Insecure"
    if any(other.tls for other in alike) and added.tls is None:
        yield "TLS_Certificate"
    if any(other.peers for other in alike) and not added.peers:
        yield "Peer"
