"""Commands that run by themselves: once at a time, or again and again."""
