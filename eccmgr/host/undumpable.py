"""Keeps the memory of this process from other processes of its user, such as the programs that it runs."""

import ctypes

_SET_DUMPABLE = 4


def hide_memory() -> None:
    """Let root alone read this process's memory, environment and descriptors, and let it leave no core dump.

    A program that this process runs is not hidden.
    """
    ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)
