"""The programs: their command lines, the console, the demonstration."""
