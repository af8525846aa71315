"""The node: agent, executor and commands."""
