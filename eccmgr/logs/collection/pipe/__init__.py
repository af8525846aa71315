"""The pipe in Redis between the nodes and the managers: its records, and the calls of its scripts."""
