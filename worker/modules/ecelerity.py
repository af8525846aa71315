"""Forwards what the node does not know to a program that speaks the control protocol."""

from eccmgr.modules import Module


class Ecelerity(Module):
    """Forwards what the node does not know to a program that speaks the control protocol."""

    scope = "ecelerity"
    brief = "the bridge to a program that speaks the control protocol"
    singleton = True
