"""The control protocol: its frames, its listeners, and its client."""
