"""A console session on a store, as the control server would run it: lines in, text out."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from eccmgr.commands.answer import Status
from eccmgr.commands.caller import Caller
from eccmgr.commands.config import commands
from eccmgr.commands.dispatch import Reply, reply
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import Table
from eccmgr.config.live.store import Store
from eccmgr.config.live.transaction import ConfigSession

SAMPLES = Path(__file__).parents[2] / "samples"
_copies = tempfile.TemporaryDirectory(prefix="ecc-samples-")


def own_sample(name: str) -> str:
    """The path of a copy of a sample that whoever runs the tests owns, so that its locked options are taken."""
    folder = Path(_copies.name)
    if not any(folder.iterdir()):
        shutil.copytree(SAMPLES, folder, copy_function=shutil.copyfile, dirs_exist_ok=True)
        for path in folder.iterdir():
            path.chmod(0o644)
    return str(folder / name)


class Console:
    """One session of one user. With `reveal`, the user's role allows secrets to be shown."""

    def __init__(self, store: Store, user: str = "alice", *, reveal: bool = False) -> None:
        self.store = store
        self.user = user
        self.session = ConfigSession()
        self.table = Table()
        self.table.add(*commands(store, lambda _: self.session, lambda _: reveal))

    def reply(self, line: str) -> Reply:
        """The answer to a line, whatever its status."""
        return asyncio.run(reply(Gate(self.table), line, Caller(self.user)))

    def ok(self, line: str) -> str:
        """The text of the answer to a line, which must not be an error."""
        replied = self.reply(line)
        assert replied.answer.status is Status.OK, replied.body
        return replied.body

    def refused(self, line: str) -> str:
        """The text of the answer to a line, which must be an error."""
        replied = self.reply(line)
        assert replied.answer.status is Status.ERROR, replied.body
        assert "Internal error" not in replied.body
        return replied.body


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Makes files in a folder and returns the path of the first of them."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / next(iter(files))


def opened(folder: Path, files: Mapping[str, str | bytes]) -> Console:
    """A console on a configuration; the first of these files is its main file."""
    return Console(Store.open(str(write(folder, files))))


Opened = Callable[[Mapping[str, str | bytes]], Console]
