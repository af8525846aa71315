"""Drives one target for a time. If atheris is installed, it watches the target's branches; else hypothesis draws
inputs."""

import contextlib
import importlib.util
import io
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tests.fuzz.target import LONGEST, FuzzTarget

HANG_S = 20
"""A single input that takes longer is a fault."""
_MEMORY_MB = 2048
_INSTRUMENTED = ("eccmgr", "worker", "croniter")


def has_atheris() -> bool:
    """Whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def load_targets() -> list[FuzzTarget]:
    """Every target, with instrumented code if atheris is installed. Call this before that code is imported."""
    from tests.fuzz.target import all_targets

    if not has_atheris():
        return list(all_targets())
    import atheris

    # atheris names each module on that stream.
    with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(list(_INSTRUMENTED)):
        return list(all_targets())


@dataclass(frozen=True)
class Driving:
    """For how many seconds a target gets inputs, and the seed that they are drawn from."""

    seconds: int
    seed: int


def drive(target: FuzzTarget, driving: Driving, folder: Path) -> None:
    """Give the target inputs for a time, then end this process. If an input ends it earlier, that input is left in
    `folder`."""
    (_by_atheris if has_atheris() else _by_hypothesis)(target, driving, folder)


def _by_atheris(target: FuzzTarget, driving: Driving, folder: Path) -> None:
    import atheris

    grown, words = folder / "grown", folder / "words"
    grown.mkdir()
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words if word))
    drawn = (f"-max_total_time={driving.seconds}", f"-seed={driving.seed}", f"-max_len={LONGEST}")
    limits = (*drawn, f"-timeout={HANG_S}", f"-rss_limit_mb={_MEMORY_MB}")
    kept = [str(path) for path in {each.parent for each in target.corpus}]
    options = [sys.argv[0], *limits, f"-dict={words}", f"-artifact_prefix={folder}/", str(grown), *kept]
    atheris.Setup(options, lambda data: _kept(target, data, folder), enable_python_coverage=True)
    atheris.Fuzz()


def _kept(target: FuzzTarget, data: bytes, folder: Path) -> None:
    """Give the target one input, and keep the input if it is a fault; if many are, the last one is the smallest."""
    try:
        target(data)
    except BaseException:
        (folder / "crash").write_bytes(data)
        raise


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _by_hypothesis(target: FuzzTarget, driving: Driving, folder: Path) -> None:
    from hypothesis import HealthCheck, given, seed, settings

    from tests.fuzz.inputs import inputs

    deadline, runs = time.monotonic() + driving.seconds, 0
    seeds = random.Random(driving.seed)
    signal.signal(signal.SIGALRM, _hangs)

    def run(data: bytes) -> None:
        nonlocal runs
        runs += 1
        signal.alarm(HANG_S)
        try:
            _kept(target, data, folder)
        finally:
            signal.alarm(0)

    quiet = settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    while time.monotonic() < deadline:
        seed(seeds.getrandbits(64))(quiet(given(inputs(target))(run)))()
    print(f"Done {runs} runs in {driving.seconds} second(s)", flush=True)
    sys.exit(0)


def _hangs(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"one input takes longer than {HANG_S} s")
