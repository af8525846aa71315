"""Text: words, names, patterns, numbers in words, and characters that nobody sees. Pure."""
