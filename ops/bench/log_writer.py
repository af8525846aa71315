"""Writes lines into logs at a rate, until it is killed: python -m ops.bench.log_writer LINES_PER_SECOND LOG…."""

import os
import sys
import time

_PAUSE_S = 0.01


def lines(first: int, count: int) -> bytes:
    """`count` lines of 100 bytes, numbered from `first` on. Half of each line is random, as addresses and ids are."""
    dots = b"." * 37
    return b"".join(
        b"%09d to=<%s> %s\n" % (number, os.urandom(22).hex().encode(), dots) for number in range(first, first + count)
    )


def main(rate: int, paths: list[str]) -> None:
    """Write the same lines into each log."""
    logs = [open(path, "ab", buffering=0) for path in paths]  # noqa: SIM115 (they stay open until the end)
    written, began = 0, time.monotonic()
    while True:
        due = int((time.monotonic() - began) * rate) - written
        data = lines(written, due)
        for log in logs:
            log.write(data)
        written += due
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
