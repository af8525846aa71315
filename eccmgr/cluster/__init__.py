"""The cluster over Redis: its members, the delivery of commands, and the nodes' answers."""
