"""Wakes readers when a folder of a log changes: by inotify where there is one, else after a second."""

import asyncio
import contextlib
import ctypes
import os
import struct
from collections import defaultdict
from collections.abc import Collection

_LOOK_S = 1.0
_WATCHED_MAX = 1000
"""With more folders than this, those for which nobody waits are no longer watched."""
_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_MODIFY, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
_MASK = _MODIFY | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_EVENT = struct.Struct("iIII")


class Wakers:
    """Waits for changes of files. Make and use it in one event loop."""

    def __init__(self) -> None:
        self._inotify = -1
        self._folders: dict[int, str] = {}
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._library: ctypes.CDLL | None = None

    def open(self) -> None:
        """Begin to watch, if this system can."""
        with contextlib.suppress(OSError, AttributeError):
            self._library = ctypes.CDLL(None, use_errno=True)
            self._inotify = self._library.inotify_init1(_NONBLOCK | _CLOEXEC)
        if self._inotify >= 0:
            asyncio.get_running_loop().add_reader(self._inotify, self._changed)

    def close(self) -> None:
        """Watch no more."""
        if self._inotify >= 0:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._inotify)
            os.close(self._inotify)
        self._inotify = -1

    async def wait(self, folders: Collection[str], longest_s: float) -> None:
        """Wait until something changes in one of the folders, at most `longest_s`."""
        if not all(self._watch(folder) for folder in folders):
            await asyncio.sleep(min(longest_s, _LOOK_S))
            return
        changed = asyncio.Event()
        for folder in folders:
            self._waiting[folder].add(changed)
        try:
            async with asyncio.timeout(longest_s):
                await changed.wait()
        except TimeoutError:
            pass
        finally:
            for folder in folders:
                self._waiting[folder].discard(changed)

    def _watch(self, folder: str) -> bool:
        """Watch a folder from now on. This is a quick call of the system, and asking twice is no harm."""
        if self._inotify < 0 or self._library is None:
            return False
        if len(self._folders) > _WATCHED_MAX:
            self._forget_idle(self._library)
        watch = self._library.inotify_add_watch(self._inotify, os.fsencode(folder), _MASK)
        if watch >= 0:
            self._folders[watch] = folder
        return bool(watch >= 0)

    def _forget_idle(self, library: ctypes.CDLL) -> None:
        """Watch no folder any more for which nobody waits: a log that is a link moves on to other folders."""
        for watch, folder in list(self._folders.items()):
            if not self._waiting.get(folder):
                library.inotify_rm_watch(self._inotify, watch)
                del self._folders[watch]
                self._waiting.pop(folder, None)

    def _changed(self) -> None:
        try:
            events = os.read(self._inotify, 64 * 1024)
        except OSError:
            return
        at = 0
        while at + _EVENT.size <= len(events):
            watch, _mask, _cookie, length = _EVENT.unpack_from(events, at)
            at += _EVENT.size + length
            for changed in self._waiting.get(self._folders.get(watch, ""), ()):
                changed.set()
