"""The files: reading and including them, bus files and group files, and writing changes back where they belong."""
