"""A node's floating addresses: their agent, placement, what the configuration says of them, and their commands."""
