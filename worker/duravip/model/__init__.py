"""DuraVIP as nodes agree on it: each floating address is carried by exactly one live node. Neither I/O nor clock."""
