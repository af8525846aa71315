"""The programs that people start: their command lines, the console, the demonstration."""
