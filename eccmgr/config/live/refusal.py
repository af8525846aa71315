"""Logs the changes of the configuration that were refused, with who asked for them and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from eccmgr.channels import Channel
from eccmgr.errors import EccmgrError, LockedOption

if TYPE_CHECKING:
    from collections.abc import Coroutine

log = structlog.get_logger()

T = TypeVar("T")

_REASON_SHOWN = 1000


async def log_refusal(change: Coroutine[Any, Any, T], user: str | None) -> T:
    """Make a change. If it is refused, log that `user` asked for it; without a user, nobody asked for a change."""
    try:
        return await change
    except LockedOption:
        # The store has named the option in the log.
        raise
    except EccmgrError as error:
        if user is not None:
            reason = str(error)[:_REASON_SHOWN]
            log.warning("configuration not changed", channel=Channel.REJECT, user=user, reason=reason)
        raise
