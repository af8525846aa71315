"""Files in memory, for tests that need many of them quickly."""

import os.path
from collections.abc import Mapping

from eccmgr.config.files.disk import Contents


class MemoryFiles:
    """Files by path. `readonly` files cannot be replaced, other users may write the files `open_to_others`, and with
    `broken` every replacement fails."""

    def __init__(self, contents: Mapping[str, bytes], readonly: frozenset[str] = frozenset()) -> None:
        self.contents = dict(contents)
        self.readonly = readonly
        self.broken = False
        self.open_to_others: set[str] = set()

    def identity(self, path: str) -> str:
        return os.path.normpath(path)

    def exists(self, path: str) -> bool:
        return self.identity(path) in self.contents

    def entries(self, path: str) -> list[str] | None:
        folder = self.identity(path) + "/"
        found = [each[len(folder) :] for each in self.contents if each.startswith(folder)]
        return [name for name in found if "/" not in name] if found else None

    def read(self, path: str) -> bytes:
        try:
            return self.contents[self.identity(path)]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory") from None

    def examine(self, path: str, *, plain: bool = False) -> Contents:
        return Contents(self.read(path), guarded=plain or self.identity(path) not in self.open_to_others)

    def writable(self, path: str) -> bool:
        return self.identity(path) not in self.readonly

    def replace(self, contents: Mapping[str, bytes], widest: int = 0o7777) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        self.contents.update({self.identity(path): data for path, data in contents.items()})

    def mark(self, path: str) -> tuple[int, ...] | None:
        return (hash(self.contents[path]),) if path in self.contents else None

    def put(self, path: str, data: bytes, mode: int) -> None:
        assert mode & 0o027 == 0
        self.replace({path: data})
