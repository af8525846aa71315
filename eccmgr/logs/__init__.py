"""The log of a process, and the account of a daemon: what goes into which file."""
