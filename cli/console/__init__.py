"""The console: its arguments, its two ways to run (batch and interactive), and how it shows answers."""
