"""The console: its arguments, its two modes (batch and interactive), and the display of answers."""
