"""Files in memory, for tests that need many of them quickly."""

import os.path
from collections.abc import Mapping


class MemoryFiles:
    """Files by path; `readonly` ones cannot be replaced, and `broken` makes every replacement fail."""

    def __init__(self, contents: Mapping[str, bytes], readonly: frozenset[str] = frozenset()) -> None:
        self.contents = dict(contents)
        self.readonly = readonly
        self.broken = False

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

    def writable(self, path: str) -> bool:
        return self.identity(path) not in self.readonly

    def replace(self, contents: Mapping[str, bytes], new_file_mode: int = 0o640) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        self.contents.update({self.identity(path): data for path, data in contents.items()})
