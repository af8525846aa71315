"""A compressed log is read at offsets that rise without being decompressed twice."""

import gzip
import os
from pathlib import Path
from typing import IO

import pytest

from eccmgr.logs.collection.following.compressed import CompressedReader
from eccmgr.logs.collection.following.sources import LogFolder

DATA = b"".join(b"%09d\n" % number for number in range(400_000))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "main.log.gz"
    path.write_bytes(gzip.compress(DATA, 1))
    return path


def test_rising_offsets_decompress_once(file: Path) -> None:
    begun = []

    def opened(raw: IO[bytes]) -> IO[bytes]:
        begun.append(raw)
        return gzip.GzipFile(fileobj=raw, mode="rb")

    reader = CompressedReader(os.open(file, os.O_RDONLY), opened)
    for offset in (0, 100_000, 2_000_000, 2_000_000 - 64, 3_999_990):
        # A file is known by its first bytes, too.
        assert reader.read(512, 0) == DATA[:512]
        assert reader.read(64, offset) == DATA[offset : offset + 64]
    assert reader.read(1, len(DATA)) == b""
    assert len(begun) == 1
    assert reader.read(64, 1000) == DATA[1000:1064]
    assert len(begun) == 2
    reader.close()


def test_copies_are_read_at_places_of_their_own(file: Path) -> None:
    first = LogFolder(str(file.with_suffix(""))).open(file.name)
    assert first.read(64, 3_000_000) == DATA[3_000_000:3_000_064]
    second = first.copy()
    for offset in (0, 1_000_000):
        assert second.read(64, offset) == DATA[offset : offset + 64]
        assert first.read(64, 3_000_000 + offset) == DATA[3_000_000 + offset :][:64]
    first.close()
    second.close()
