"""The node: it hears commands, runs each at most once, and keeps an answer until Redis takes it."""
