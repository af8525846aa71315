"""Checks a listener that a console adds: it must not be a way around the access that the other listeners demand."""

from __future__ import annotations

import functools
from operator import or_
from typing import TYPE_CHECKING

from eccmgr.config.live.options import listeners
from eccmgr.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eccmgr.config.live.effective import ScopeView
    from eccmgr.config.live.options import ListenerOptions


def check_added(before: ScopeView, after: ScopeView) -> None:
    """Raises CommandError if a new listener is more open than the others. A listener is new if `before` lacks it or has
    it disabled."""
    enabled, written = listeners(before, ""), listeners(before, "", disabled=True)
    known = {other.endpoint for other in enabled}
    for added in listeners(after, ""):
        if added.endpoint not in known and (lacking := _lacking(added, enabled, written)):
            raise CommandError(
                f'Listen "{added.endpoint}" would be more open than the other listeners ({lacking}), which is locked: '
                f"set {lacking} for all of them in Control_Listener, or add this one, in a file"
            )


def _lacking(
    added: ListenerOptions, enabled: Sequence[ListenerOptions], written: Sequence[ListenerOptions]
) -> str | None:
    """The option of a listener that makes it more open than every other listener, or than one that demands more.

    A listener that is `written` demands what it does even while a console has disabled it.
    """
    if any(other.authenticate for other in written) and not added.authenticate:
        return "Enable_Authentication"
    if any(other.authorize for other in written) and not added.authorize:
        return "Enable_Authorization"
    like = functools.partial(_is_like, added)
    modes = [other.file_mode for other in filter(like, enabled)]
    if "/" in added.endpoint:
        return "File_Mode" if modes and added.file_mode & ~functools.reduce(or_, modes) else None
    if added.insecure and modes and not any(other.insecure for other in filter(like, enabled)):
        return "Insecure"
    if any(other.tls for other in filter(like, written)) and added.tls is None:
        return "TLS_Certificate"
    return "Peer" if any(other.peers for other in filter(like, written)) and not added.peers else None


def _is_like(added: ListenerOptions, other: ListenerOptions) -> bool:
    """Whether both are sockets of files, or both are not."""
    return ("/" in other.endpoint) == ("/" in added.endpoint)
