"""The alert rules with shorter times: a campaign of minutes watches what takes an hour in production. Pure."""

import re

_UNITS = {"s": 1, "m": 60, "h": 3600}
_FOR = re.compile(r"(\n +for: )(\d+)([smh])")
_WINDOW = re.compile(r"\[(\d+)([smh])\]")


def quicker(rules: str) -> str:
    """The text of a file of rules, loaded in a campaign: a `for` lasts a sixtieth, but from 2 s to 10 s, and a window
    of samples a fifteenth, but at least 20 s, so that ten scrapes are in it. No expression and no threshold changes."""
    rules = _FOR.sub(lambda found: f"{found[1]}{_scaled(found[2], found[3], 60, 2, 10)}s", rules)
    return _WINDOW.sub(lambda found: f"[{_scaled(found[1], found[2], 15, 20, 60)}s]", rules)


def _scaled(number: str, unit: str, part: int, least: int, most: int) -> int:
    return min(most, max(least, int(number) * _UNITS[unit] // part))
