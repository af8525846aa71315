"""Commands that run by themselves, once or again and again."""
