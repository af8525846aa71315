"""The pure part of DuraVIP, without I/O and without a clock: how nodes agree that one live node carries each floating
address."""
