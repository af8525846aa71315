"""DuraVIP: floating addresses, each carried by exactly one live node; what managers and nodes share of it."""
