"""Sequences of what happens to a log: it is written, rotated, deleted and read, and its node is started anew."""

from hypothesis import strategies as st

from tests.unit.logs.reader import WrittenLog

Step = tuple[str, int]

HEADERS = (b"", b"# head\n", b"#" * 600 + b"\n")
"""The first lines of files: a node has to tell files apart that begin with the same bytes."""

_WRITE = st.tuples(st.just("write"), st.integers(1, 5))
_ROTATIONS: list[Step] = [("rename", 0), ("reopen", 0), ("rotate", 0), ("copy", 0), ("compress", 0)]
_READS: list[Step] = [("read", 0), ("read some", 1), ("restart", 0)]
_REWINDS: list[Step] = [("go back", 3), ("go back", 10), ("ask again", 3), ("ask again", 10)]
_DELETIONS: list[Step] = [("look", 0), ("delete oldest", 0), ("delete newest", -1)]

STEPS = st.lists(st.one_of(_WRITE, st.sampled_from([*_ROTATIONS, *_READS, *_REWINDS])), max_size=30)
STEPS_THAT_DELETE = st.lists(st.one_of(_WRITE, st.sampled_from([*_ROTATIONS, *_READS, *_DELETIONS])), max_size=25)


def play(log: WrittenLog, steps: list[Step]) -> None:
    """Play the steps, and read all that is left."""
    # A node that has never seen a log begins with the file that is there.
    log.write(1)
    log.read_all()
    plain = {
        "rename": log.rename,
        "reopen": log.reopen,
        "copy": log.copy_and_cut,
        "compress": log.compress_rotated,
        "read": log.read_all,
        "look": log.look,
        "restart": log.restart,
    }
    for step, number in steps:
        match step:
            case "write":
                log.write(number)
            case "rotate":
                log.rename()
                log.reopen()
            case "read some":
                log.read(1)
            case "go back" | "ask again" if log.places:
                place = log.places[-min(number, len(log.places))][0]
                (log.restart if step == "go back" else log.ask_again)(place)
            case "delete oldest" | "delete newest":
                log.delete_rotated(number)
            case _ if step in plain:
                plain[step]()
    log.reopen()
    log.write(1)
    log.read_all()
