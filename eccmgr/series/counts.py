"""The counts of a series as they are read, and how they are shown: addresses as a tree of prefixes. Pure."""

import ipaddress
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from eccmgr.text.unseen import visible_line

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LEVELS = {4: (8, 16, 24, 32), 6: (32, 48, 64, 128)}
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class KeyCount:
    """One key: its count on each node."""

    key: str
    nodes: Mapping[str, int]

    @property
    def total(self) -> int:
        """Its count in all."""
        return sum(self.nodes.values())


def read_counts(scored: Iterable[tuple[bytes, float]], node: str | None = None) -> list[KeyCount]:
    """The counts of a sorted set, the largest first; only those of `node`, if one is named."""
    keys: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for raw, score in scored:
        of, tab, key = raw.decode(errors="replace").partition("\t")
        if tab and score > 0 and (node is None or of.lower() == node.lower()):
            keys[key][of] = keys[key].get(of, 0) + int(score)
    counts = [KeyCount(key, dict(sorted(nodes.items()))) for key, nodes in keys.items()]
    return sorted(counts, key=lambda count: (-count.total, count.key))


def window_lines(counts: Iterable[KeyCount]) -> Iterator[str]:
    """The lines of a window's file: one JSON object a key."""
    for count in counts:
        yield json.dumps({"key": count.key, "nodes": dict(count.nodes), "total": count.total}) + "\n"


@dataclass
class _Branch:
    """A prefix with its sum, and the longer prefixes in it."""

    total: int = 0
    inner: "dict[str, _Branch]" = field(default_factory=dict)


def address_of(key: str) -> Address | None:
    """The address that a key is; None if it is none."""
    try:
        return ipaddress.ip_address(key)
    except ValueError:
        return None


def tree(counts: Sequence[KeyCount]) -> list[tuple[int, str, int]]:
    """Addresses as a tree of prefixes: the depth, the prefix and the sum of each line. A prefix that holds only one
    longer prefix has no line. Keys that are no addresses stand at the end."""
    root, others = _Branch(), list[tuple[int, str, int]]()
    for count in counts:
        address = address_of(count.key)
        if address is None:
            others.append((0, count.key, count.total))
            continue
        branch = root
        for length in _LEVELS[address.version]:
            is_whole = length == address.max_prefixlen
            name = str(address) if is_whole else str(ipaddress.ip_network((address, length), strict=False))
            branch = branch.inner.setdefault(name, _Branch())
            branch.total += count.total
    return [*_lines(root, 0), *others]


def _lines(branch: _Branch, depth: int) -> Iterator[tuple[int, str, int]]:
    for name, inner in sorted(branch.inner.items(), key=lambda item: -item[1].total):
        while len(inner.inner) == 1:
            ((name, inner),) = inner.inner.items()
        yield depth, name, inner.total
        yield from _lines(inner, depth + 1)


def tree_text(counts: Sequence[KeyCount]) -> str:
    """The tree as text: each prefix with its sum."""
    return "\n".join(f"{_INDENT * depth}{visible_line(name)}  {total}" for depth, name, total in tree(counts))
