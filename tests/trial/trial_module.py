"""A module with long commands, found by the entry point beside it: for tests of jobs with real processes."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

from eccmgr.modules import Call, CommandError, Module, OptionSpec, OptionType, command


class Trial(Module):
    """Marks each run in a file of its folder."""

    scope = "trial"
    brief = "long commands"
    singleton = True
    options = (OptionSpec("folder", OptionType.PATH, "/nonexistent", "where runs are marked"),)

    def _mark(self, what: str) -> Path:
        folder = Path(self.context.settings.text("folder") or "")
        with (folder / what).open("a") as marks:
            marks.write(f"{os.getpid()}\n")
        return folder

    @command("hold", "begins, tells its progress, and ends once there is a file of this name", long=True)
    async def hold(self, call: Call, name: str) -> str:
        folder = self._mark(f"began-{name}")
        call.progress(40)
        while not (folder / name).exists():
            await asyncio.sleep(0.05)
        return f"{self.context.member} held {name} for {call.caller.user}"

    @command("try", "as hold; may be tried again", long=True, retries=1)
    async def again(self, call: Call, name: str) -> str:
        return await self.hold(call, name)

    @command("fail", "fails", long=True)
    async def fail(self) -> str:
        raise CommandError("it cannot be done")

    @command("break", "raises", long=True)
    async def raises(self) -> str:
        raise ZeroDivisionError

    @command("die", "kills its own process", long=True)
    async def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @command("leave", "as hold; first starts a program in a session of its own", long=True)
    async def leave(self, call: Call, name: str) -> str:
        folder = Path(self.context.settings.text("folder") or "")
        program = f"trap '' TERM; echo $$ > {folder}/left-{name}; sleep 3600; sleep 3600"
        subprocess.Popen(("setsid", "setsid", "sh", "-c", program))
        return await self.hold(call, name)

    @command("limit", "never ends", long=True, timeout_s=0.5)
    async def limit(self) -> None:
        await asyncio.sleep(3600)


def touch_here(*_args: object) -> None:
    """A callback that a forged job in Redis names. It must never be called."""
    (Path(os.environ["XDG_STATE_HOME"]) / "touched").touch()
