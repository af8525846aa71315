"""The cluster over Redis: who is in it, how a command reaches its nodes, what each of them answered."""
