"""Floating addresses as a manager and a node see them: records, statements, agreement and placement. Pure."""
