"""`make fuzz`: gives every target inputs. FUZZ_S, SEED and TARGET come from the environment."""

import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.driving import HANG_S, Driving, drive, has_atheris, load_targets

if TYPE_CHECKING:
    from tests.fuzz.target import FuzzTarget

_GRACE_S = 60.0


@dataclass
class Drive:
    """One target under way, in a process of its own that began at `since`."""

    target: "FuzzTarget"
    folder: Path
    since: float

    @property
    def log(self) -> str:
        """The output of the process."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def faults(self) -> list[Path]:
        """The inputs at which the target failed."""
        return [path for kind in ("crash*", "timeout*", "oom*", "slow-unit*") for path in self.folder.glob(kind)]


def main() -> int:
    """Return 0 if no target failed at any input. Else return 1 and keep these inputs."""
    in_all_s = int(os.environ.get("FUZZ_S") or 600)
    targets = load_targets()
    if wanted := os.environ.get("TARGET"):
        targets = [target for target in targets if target.name in wanted.split(",")]
    at_once = max(1, os.cpu_count() or 1)
    seconds = max(1, in_all_s * at_once // max(1, len(targets)))
    folder = Path(tempfile.mkdtemp(prefix="ecc-fuzz-"))
    engine = "atheris" if has_atheris() else "hypothesis"
    seed = int(os.environ.get("SEED") or secrets.randbelow(2**31) + 1)
    print(f"{len(targets)} targets, {seconds} s each, by {engine}, seed {seed}, in {folder}", flush=True)
    bad = run_all(targets, Driving(seconds, seed), at_once, folder)
    if bad:
        print(f"{len(bad)} targets did not stand: {', '.join(bad)}; the inputs are in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    print("every target stood every input")
    return 0


def run_all(targets: "list[FuzzTarget]", driving: Driving, at_once: int, folder: Path) -> list[str]:
    """Run the targets, a number of them at once; answers the names of those that failed."""
    waiting, running, bad = list(targets), dict[int, Drive](), list[str]()
    while waiting or running:
        while waiting and len(running) < at_once:
            target = waiting.pop(0)
            each = Drive(target, folder / target.name, time.monotonic())
            running[_forked(each, driving)] = each
        number, status = os.waitpid(-1, os.WNOHANG)
        if number in running:
            each = running.pop(number)
            if not _report(each, os.waitstatus_to_exitcode(status)):
                bad.append(each.target.name)
            continue
        for number, each in running.items():
            if time.monotonic() - each.since > driving.seconds + HANG_S + _GRACE_S:
                os.kill(number, 9)
        time.sleep(0.05)
    return bad


def _forked(each: Drive, driving: Driving) -> int:
    """Begin to drive a target in a child of this process. The code is loaded already."""
    each.folder.mkdir()
    sys.stdout.flush()
    if (child := os.fork()) != 0:
        return child
    try:
        os.nice(10)
        said = os.open(each.folder / "log", os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(said, 1)
        os.dup2(said, 2)
        drive(each.target, driving, each.folder)
    except SystemExit as end:
        os._exit(int(end.code or 0))
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    os._exit(1)


def _report(each: Drive, code: int) -> bool:
    runs = re.findall(r"Done (\d+) runs", each.log)
    if code == 0 and not each.faults:
        print(f"{each.target.name}: {runs[-1] if runs else 'no'} runs", flush=True)
        return True
    print(f"{each.target.name}: ended with {code}\n{each.log[-3000:]}", file=sys.stderr)
    for path in each.faults:
        print(f"the input is in {path}: {path.read_bytes()[:300]!r}", file=sys.stderr, flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main())
