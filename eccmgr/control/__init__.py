"""The control protocol: frames, the listener that answers them, and a client that asks."""
