"""The collection of the nodes' logs on the managers, every line exactly once.

A node follows its log files (`following/`) and sends what they hold through a narrow pipe in Redis (`pipe/`). A manager
takes it from there and writes it to its own files (`gathering/`). The node's file is the journal: Redis holds little of
it, and everybody can go back to a place in the file.
"""
