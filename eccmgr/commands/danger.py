"""How much a console asks before it sends a command that does harm."""

import enum


class Danger(enum.IntEnum):
    """The question before a command. The higher level counts where a command carries another one."""

    NONE = 0
    """No question."""
    ASKS = 1
    """Whether to go on."""
    ASKS_NUMBER = 2
    """The number of nodes, where the command hits several: whoever types it has read it."""
