"""The ids of commands. Pure, and quick to import: a console proposes an id, too."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 12


def command_id(wall_ms: int, chance: int) -> str:
    """An id of 12 characters of Crockford's base 32. Ten characters hold the time in ms, so that ids sort; two hold
    `chance`."""
    number = (wall_ms << 10) | (chance & 0x3FF)
    digits = []
    for _ in range(_LENGTH):
        digits.append(_ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(digits))


def named_id(named: str) -> str:
    """The id that `named` may be, with or without #, in the spelling of ids; "" if it cannot be an id."""
    made = named.removeprefix("#").upper()
    return made if len(made) == _LENGTH and not set(made) - set(_ALPHABET) else ""


def made_at_ms(made: str) -> int:
    """The time in an id, in ms."""
    number = 0
    for digit in made:
        number = number << 5 | _ALPHABET.index(digit)
    return number >> 10
