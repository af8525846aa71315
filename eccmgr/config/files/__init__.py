"""The files: reads and includes them, reads bus files and group files, and writes changes back to the right file."""
