"""What nodes and managers keep in Redis about logs: any bytes there can be read, or count as none."""

import zlib

from eccmgr.logs.collection.gathering.checkpoint import Checkpoint
from eccmgr.logs.collection.news import LogNews, Wishes, dump_files, parse_files
from eccmgr.logs.collection.pieces import PIECE_MAX
from eccmgr.logs.collection.places import LogPlace
from eccmgr.logs.collection.records import unpacked
from tests.fuzz.target import fuzzed

_PLACE = b"7 1 2 0 0000000000000000 10 0000000000000000 0"


@fuzzed(ValueError, LookupError, zlib.error, words=(_PLACE, b"\n", b"=abc", b"z", b"0", b"7"))
def log_record(data: bytes) -> None:
    """A record of a pipe has no more than a piece of data, and leads on."""
    record = unpacked(dict(zip((b"b", b"e", b"t", b"f", b"l", b"d"), data.split(b"\n", 5), strict=True)))
    assert len(record.data) <= PIECE_MAX
    assert record.end.order > record.begin.order
    assert LogPlace.parse(record.end.dump()) == record.end


@fuzzed(words=(b'{"place":"', _PLACE, b'"number":1', b'"stores":{}', b'"subscribers":[]', b'"name":"x"', b"null", b"]"))
def log_statements(data: bytes) -> None:
    """A checkpoint, the news of a log, the wishes of a manager and the files of a log are written back as they were."""
    checkpoint, news, wishes = Checkpoint.parse(data), LogNews.parse(data), Wishes.parse(data)
    assert checkpoint is None or Checkpoint.parse(checkpoint.dump().encode()) == checkpoint
    assert news is None or LogNews.parse(news.dump().encode()) == news
    assert wishes is None or Wishes.parse(wishes.dump().encode()) == wishes
    files = parse_files(data)
    assert parse_files(dump_files(files).encode()) == files
