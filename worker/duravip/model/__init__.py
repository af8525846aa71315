"""How nodes agree on DuraVIP: each floating address is carried by exactly one live node. Without I/O and without a
clock."""
