"""A node's agent of floating addresses: the protocol's shell, placement, and what the commands need."""
