"""Console commands: how a line is read, one table of what exists, and how an answer is shown."""
