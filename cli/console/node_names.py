"""The names of nodes in an order in which completion finds them at once, however many there are. Pure."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from eccmgr.cluster.names import natural
from eccmgr.text.counting import counted

_ROWS_MAX = 200
# Greater than every character that a name may have.
_LAST = "\uffff"
_NUMBERED = re.compile(r"([0-9]{1,18})(.*)", re.DOTALL)


@dataclass(frozen=True)
class Offer:
    """A completion: the text to put in place of the word, how the menu shows it, and a remark beside it.

    It is `whole` if a blank may follow.
    """

    text: str
    shown: str = ""
    remark: str = ""
    whole: bool = True


@dataclass(frozen=True)
class _Numbers:
    """The numbers behind a stem (`east` in `east[`), and what follows the closing bracket."""

    in_order: tuple[str, ...]
    ranges: tuple[str, ...]
    close: str


@dataclass
class NodeNames:
    """Names of nodes, found by their beginning."""

    names: Iterable[str] = ()
    _keys: list[str] = field(init=False)
    _spelt: list[str] = field(init=False)
    _numbers: dict[str, _Numbers] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        by_key = {name.lower(): name for name in self.names}
        self._keys = sorted(by_key)
        self._spelt = [by_key[key] for key in self._keys]
        self.names = ()

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, word: str) -> bool:
        at = bisect_left(self._keys, word.lower())
        return self._keys[at : at + 1] == [word.lower()]

    def offers(self, part: str) -> list[Offer]:
        """The names that begin with `part`, in natural order; if they are many, their next beginnings."""
        key = part.lower()
        begin, end = self._range(key)
        if end - begin <= _ROWS_MAX:
            return [Offer(name) for name in sorted(self._spelt[begin:end], key=natural)]
        return list(self._beginnings(len(key), begin, end))

    def set_offers(self, part: str) -> list[Offer]:
        """The numbers and ranges that may follow in the node set `part`, whose bracket is open: `east[1-3,`."""
        stem, _, inside = part.rpartition("[")
        done, comma, current = inside.rpartition(",")
        head = f"{stem}[{done}{comma}"
        numbers = self._behind(stem)
        first, dash, last = current.partition("-")
        if dash:
            ends = [number for number in _ends(numbers, first) if number.startswith(last)]
            return [Offer(f"{head}{first}-{number}", f"{first}-{number}", whole=False) for number in ends]
        taken = frozenset(done.split(","))
        fitting = [run for run in numbers.ranges if run not in taken and run.startswith(current)]
        if current:
            fitting += [number for number in numbers.in_order if number.startswith(current) and number not in fitting]
        offers = [Offer(f"{head}{text}", text, whole=False) for text in fitting[:_ROWS_MAX]]
        if current in numbers.in_order:
            offers.insert(0, Offer(f"{head}{current}{numbers.close}", f"{current}{numbers.close}"))
        everyone = f"{','.join(numbers.ranges)}{numbers.close}"
        if not current and not done and numbers.in_order:
            remark = counted(len(numbers.in_order), "node")
            offers.insert(0, Offer(f"{head}{everyone}", everyone, remark))
        return offers

    def _range(self, key: str) -> tuple[int, int]:
        return bisect_left(self._keys, key), bisect_left(self._keys, key + _LAST)

    def _beginnings(self, length: int, begin: int, end: int) -> Iterator[Offer]:
        """One offer for each character that follows the first `length` ones, as long as all names behind it agree."""
        while begin < end:
            key = self._keys[begin]
            if len(key) == length:
                yield Offer(self._spelt[begin])
                begin += 1
                continue
            behind = bisect_left(self._keys, key[: length + 1] + _LAST, begin, end)
            if behind - begin == 1:
                yield Offer(self._spelt[begin])
            else:
                common = self._spelt[begin][: _alike(key, self._keys[behind - 1])]
                yield Offer(common, f"{common}…", counted(behind - begin, "node"), whole=False)
            begin = behind

    def _behind(self, stem: str) -> _Numbers:
        """The numbers that follow `stem` in names; they are worked out once."""
        key = stem.lower()
        if (known := self._numbers.get(key)) is None:
            begin, end = self._range(key)
            split = [match for name in self._keys[begin:end] if (match := _NUMBERED.fullmatch(name, len(key)))]
            numbers = tuple(sorted({match[1] for match in split}, key=lambda digits: (len(digits), digits)))
            endings = {match[2] for match in split}
            close = f"]{endings.pop()}" if len(endings) == 1 else "]"
            known = self._numbers[key] = _Numbers(numbers, tuple(_runs(numbers)), close)
        return known


def _runs(numbers: Sequence[str]) -> Iterator[str]:
    """`1-8`, `10-76`: the runs of `numbers`, which are in order of length. A run with leading zeros has one length."""
    first = last = ""
    for number in numbers:
        if last and int(number) == int(last) + 1 and (len(number) == len(last) or "0" not in (number[0], last[0])):
            last = number
            continue
        if first:
            yield first if first == last else f"{first}-{last}"
        first = last = number
    if first:
        yield first if first == last else f"{first}-{last}"


def _alike(one: str, other: str) -> int:
    """The number of characters that two names begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _ends(numbers: _Numbers, first: str) -> list[str]:
    """Where a range that begins with `first` may end: before the next gap, or at the last number."""
    if first not in numbers.in_order:
        return []
    last = numbers.in_order[-1]
    for run in numbers.ranges:
        begin, dash, end = run.partition("-")
        if dash and len(begin) <= len(first) and int(begin) <= int(first) < int(end):
            return list(dict.fromkeys((end, last)))
    return [last] if first != last else []
