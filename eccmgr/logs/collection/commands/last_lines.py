"""Reads the last lines of a log, and those that arrive. All calls here block."""

from collections import deque

from eccmgr.logs.collection.following.sources import LogFile, LogFolder
from eccmgr.text import words
from eccmgr.text.patterns import Pattern
from eccmgr.text.unseen import visible_line

_BACK = 4 << 20
"""Lines further than so many bytes before the end are not shown."""
_STEP = 256 * 1024
_LINE_MAX = 4096
_LINES_AT_ONCE = 500


class LineReader:
    """Reads the lines that a log gets from a place on."""

    def __init__(self, folder: LogFolder, source: LogFile, offset: int, pattern: Pattern | None) -> None:
        self._folder, self._source, self._offset, self._pattern = folder, source, offset, pattern

    def more(self) -> list[str]:
        """The whole lines since the last call that match; of very many, the last. Raises OSError."""
        block = self._block()
        if not block:
            self._look_for_newer()
            block = self._block()
        lines = _shown(block.split(b"\n")[:-1], self._pattern)
        if len(lines) > _LINES_AT_ONCE:
            return [f"… {len(lines) - _LINES_AT_ONCE} lines left out", *lines[-_LINES_AT_ONCE:]]
        return lines

    def _block(self) -> bytes:
        size = self._source.size()
        if size < self._offset:
            self._offset = 0
        if size - self._offset > _BACK:
            # Nobody reads as fast as that.
            self._offset = size - _STEP
        block = self._source.read(_BACK, self._offset)
        whole = block.rfind(b"\n") + 1
        self._offset += whole or (len(block) if len(block) >= _BACK else 0)
        return block[:whole]

    def _look_for_newer(self) -> None:
        main = self._folder.main()
        if main is not None and main.key != self._source.key:
            newer = self._folder.open()
            self._source.close()
            self._source, self._offset = newer, 0

    def close(self) -> None:
        """Close the file."""
        self._source.close()


def last_lines(folder: LogFolder, count: int, pattern: Pattern | None) -> tuple[list[str], LineReader]:
    """The last `count` lines that match, and a reader of what follows them. Raises OSError."""
    source = folder.open()
    try:
        size = source.size()
        begin = max(0, size - _BACK)
        kept: deque[str] = deque(maxlen=count or 1)
        rest = b""
        for at in range(begin, size, _STEP) if count else ():
            *lines, rest = (rest + source.read(min(_STEP, size - at), at)).split(b"\n")
            kept.extend(_shown(lines[1:] if at == begin > 0 else lines, pattern))
            rest = rest[-_STEP:]
        # What follows begins with the last line, if that has no end yet.
        end = size - len(rest) if count else _end_of_line(source, size)
        return (list(kept) if count else []), LineReader(folder, source, end, pattern)
    except BaseException:
        source.close()
        raise


def unquoted(text: str) -> str:
    """A pattern as it was typed, without the quotes around the whole of it. Raises UsageError."""
    text = text.strip()
    typed = words.split(text) if text[:1] in ("'", '"') else []
    return typed[0].text if len(typed) == 1 else text


def _end_of_line(source: LogFile, size: int) -> int:
    block = source.read(min(size, _STEP), max(0, size - _STEP))
    return size - len(block) + block.rfind(b"\n") + 1


def _shown(lines: list[bytes], pattern: Pattern | None) -> list[str]:
    texts = (line[:_LINE_MAX].decode(errors="backslashreplace") for line in lines)
    return [visible_line(text) for text in texts if pattern is None or pattern.is_in(text)]
