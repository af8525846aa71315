"""The guardian: the one process of a host that may change addresses, and its fence in the kernel."""
