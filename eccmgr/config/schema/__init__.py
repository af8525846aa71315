"""The options: their types, every scope and option, checks, secrets, paths on a console, printing, completion."""
