"""Wakes readers when the folder of a log changes: by inotify where there is one, else after a second."""

import asyncio
import contextlib
import ctypes
import os
import struct
from collections import defaultdict

_LOOK_S = 1.0
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

    async def wait(self, path: str, longest_s: float) -> None:
        """Wait until something changes in the folder of `path`, at most `longest_s`."""
        folder = os.path.dirname(path)  # noqa: PTH120
        if not self._watch(folder):
            await asyncio.sleep(min(longest_s, _LOOK_S))
            return
        changed = asyncio.Event()
        self._waiting[folder].add(changed)
        try:
            async with asyncio.timeout(longest_s):
                await changed.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting[folder].discard(changed)

    def _watch(self, folder: str) -> bool:
        """Watch a folder from now on. This is a quick call of the system, and asking twice is no harm."""
        if self._inotify < 0 or self._library is None:
            return False
        watch = self._library.inotify_add_watch(self._inotify, os.fsencode(folder), _MASK)
        if watch >= 0:
            self._folders[watch] = folder
        return bool(watch >= 0)

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
