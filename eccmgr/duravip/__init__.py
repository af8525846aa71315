"""Floating addresses as a manager and a node know them: records, statements, agreement, placement."""
