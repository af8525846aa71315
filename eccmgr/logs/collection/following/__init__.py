"""A node's side: its log files are read to the end, however they are rotated."""
