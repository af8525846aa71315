"""A node's floating addresses: their configuration, agent, placement and commands."""
