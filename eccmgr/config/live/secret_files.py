"""The files of users' secrets that options name: passwords, tokens, groups. One rule says who may write them."""

from dataclasses import dataclass
from pathlib import Path

from eccmgr.config.live.store import Store
from eccmgr.errors import ConfigError


@dataclass(frozen=True)
class SecretFiles:
    """Reads files that options name."""

    store: Store

    def path_of(self, named: str) -> str:
        """The path of a file: it stands beside the main file, or in a folder of the search path."""
        main = self.store.loaded.main
        folders = [*([str(Path(main).parent)] if main else []), *self.store.search_path]
        paths = [str(Path(folder) / named) for folder in folders] or [named]
        return next((path for path in paths if self.store.files.exists(path)), paths[0])

    def read(self, path: str, place: str | None, *, needed: bool = True, private: bool = False) -> bytes:
        """The contents of a file that only root, or the user of this process, may write; empty if it cannot be read and
        is not `needed`. A `private` file holds secrets as they are, so nobody else may read it either.

        Raises ConfigError, which begins with `place`, where an option names the file.
        """
        where = f"{place}: " if place else ""
        try:
            contents = self.store.files.examine(path)
        except OSError as error:
            if not needed:
                return b""
            raise ConfigError(f"{where}{path} cannot be read: {error.strerror or error}") from None
        if not contents.guarded:
            raise ConfigError(f"{where}others than root may write {path}")
        if private and not contents.private:
            raise ConfigError(f"{where}others may read {path}, which holds secrets: chmod 0640 it, or 0600")
        return contents.data
