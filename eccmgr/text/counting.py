"""Counts things in words."""


def counted(number: int, one: str, several: str = "") -> str:
    """`1 node`, `2 nodes`. `several` is the plural; without it, the plural is `one` with an s."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"
