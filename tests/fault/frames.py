"""Cuts the bytes between a client and Redis into commands and replies. Pure."""

_SIZED, _COUNTED = b"$=!", b"*~>%|"


class Cutter:
    """One direction of a connection. An incomplete part waits for the next piece."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The commands, or replies, that are now complete."""
        self._rest += data
        found, at = [], 0
        while (end := _end(self._rest, at)) >= 0:
            found.append(self._rest[at:end])
            at = end
        self._rest = self._rest[at:]
        return found


def word(frame: bytes) -> bytes:
    """The first word of a command, in capitals."""
    return frame.split(b"\r\n", 3)[2].upper() if frame.startswith(b"*") else frame.split(None, 1)[0].upper()


def is_push(frame: bytes) -> bool:
    """Whether a message of the server answers no command."""
    return frame.startswith(b">")


def _end(data: bytes, at: int) -> int:
    """The end of the item that begins at `at`; -1 if it has not arrived yet."""
    line = data.find(b"\r\n", at)
    if line < 0:
        return -1
    kind, after = data[at : at + 1], line + 2
    if kind in _SIZED:
        size = int(data[at + 1 : line])
        end = after if size < 0 else after + size + 2
        return end if end <= len(data) else -1
    if kind in _COUNTED:
        for _ in range(int(data[at + 1 : line]) * (2 if kind in b"%|" else 1)):
            after = _end(data, after)
            if after < 0:
                return -1
    return after
