"""The fuzzed targets. Each takes bytes, and may raise only the errors that its parser declares."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from eccmgr.errors import EccmgrError

CORPUS = Path(__file__).parent / "corpus"
LONGEST = 4096
"""The maximum size of a drawn input in bytes: a longer one finds no further branch of a parser."""
MODULES = (
    *(
        "access",
        "commands",
        "configuration",
        "console",
        "guardian",
        "nodes",
        "records",
        "replies",
        "signatures",
        "vips",
        "wire",
    ),
)

_targets: dict[str, "FuzzTarget"] = {}


@dataclass(frozen=True)
class FuzzTarget:
    """One parser under fire: its name, the function, the errors that it declares, and words of its grammar."""

    name: str
    run: Callable[[bytes], None]
    declared: tuple[type[Exception], ...]
    words: tuple[bytes, ...]

    def __call__(self, data: bytes) -> None:
        """Give it one input; raises any undeclared error, which is a fault."""
        try:
            self.run(data)
        except self.declared:
            return

    @property
    def corpus(self) -> list[Path]:
        """The kept inputs: typical inputs, and inputs that once caused a fault."""
        return sorted((CORPUS / self.name).glob("*"))


def fuzzed(
    *declared: type[Exception], words: tuple[bytes, ...] = ()
) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """Make a function a target under its own name. Without `declared` it may raise EccmgrError."""

    def add(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
        name = run.__name__
        assert name not in _targets, f"{name} is a target already"
        _targets[name] = FuzzTarget(name, run, declared or (EccmgrError,), words)
        return run

    return add


def all_targets() -> Iterator[FuzzTarget]:
    """Every target, in order of name."""
    for module in MODULES:
        importlib.import_module(f"tests.fuzz.targets.{module}")
    yield from (_targets[name] for name in sorted(_targets))


def target_called(name: str) -> FuzzTarget:
    """The target of that name. Raises KeyError."""
    return {each.name: each for each in all_targets()}[name]


def in_two(data: bytes, mark: bytes = b"\0") -> tuple[bytes, bytes]:
    """Split an input in two: the part before the first mark and the part behind it."""
    first, _, second = data.partition(mark)
    return first, second


def text_of(data: bytes) -> str:
    """Bytes as a text, decoded as a listener or a script's answer is."""
    return data.decode("utf-8", "replace")
