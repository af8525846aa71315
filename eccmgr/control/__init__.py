"""The control protocol: its frames, the listeners that answer, and the client that asks."""
