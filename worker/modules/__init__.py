"""The modules that come with a node."""
