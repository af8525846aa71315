"""Access: keys, signed statements and their checks. Pure, but for the files of keys."""
