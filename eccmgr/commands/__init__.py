"""Console commands: reading a line, the one table of commands, and showing an answer."""
