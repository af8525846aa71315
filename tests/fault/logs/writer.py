"""A program that writes numbered lines into a log, and opens it anew when it is told to.

Usage: writer.py PATH NAME LINES_PER_SECOND. SIGHUP: open the log anew. On standard output: the number of lines written
so far, when it ends.
"""

import os
import signal
import sys
import time


def main() -> None:
    """Write until SIGTERM."""
    path, name, rate = sys.argv[1], sys.argv[2], int(sys.argv[3])
    wishes = {"anew": False, "end": False}
    signal.signal(signal.SIGHUP, lambda *_: wishes.update(anew=True))
    signal.signal(signal.SIGTERM, lambda *_: wishes.update(end=True))
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    number, began = 0, time.monotonic()
    while not wishes["end"]:
        if wishes["anew"]:
            wishes["anew"] = False
            os.close(log)
            log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            sys.stdout.write("anew\n")
            sys.stdout.flush()
        due = int((time.monotonic() - began) * rate) - number
        if due > 0:
            numbers = range(number, number + due)
            os.write(log, b"".join(b"%s %d %s\n" % (name.encode(), n, b"." * (n * 7919 % 90)) for n in numbers))
            number += due
        time.sleep(0.01)
    print(number, flush=True)


if __name__ == "__main__":
    main()
