"""The file of the lines that were typed at the prompt."""

import os
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from eccmgr.host.safe_open import open_file

HISTORY_MAX_BYTES = 256 * 1024


def history_path() -> Path:
    """The file of the typed lines: `console_history` in the user's state folder."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(base) / "eccmgr" / "console_history"


def open_history(path: Path) -> History:
    """The history in `path`, cut to its latest part if it has grown; in memory if the file cannot be used."""
    try:
        # Commands may hold private things; and HOME may be the folder of a user who becomes root by it.
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT, made=[], folder_mode=0o700)
        with open(descriptor, "r+b") as file:
            if os.fstat(descriptor).st_size > HISTORY_MAX_BYTES:
                file.seek(-(HISTORY_MAX_BYTES // 2), os.SEEK_END)
                kept = file.read()
                file.seek(0)
                file.truncate()
                # An entry is an empty line, a `# time` line, and lines that begin with `+`.
                file.write(kept[kept.find(b"\n#") :])
    except (OSError, RuntimeError):
        return InMemoryHistory()
    return MaskedHistory(str(path))


class MaskedHistory(FileHistory):
    """The history of a console. The file never holds a secret that a command sets; within this session, the console
    still recalls it."""

    def store_string(self, string: str) -> None:
        """Add a typed line to the file."""
        # Imported only here: the console starts sooner without the schema.
        from eccmgr.commands.secrets import without_secrets

        super().store_string(without_secrets(string))
