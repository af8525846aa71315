"""Times of a cluster that let a test end soon, as options of the scope `cluster`."""

QUICK_TIMES = "heartbeats_per_sec = 5  session_lease = 1.5  max_step = 0.3"
FAULT_TIMES = "heartbeats_per_sec = 5  session_lease = 1  max_step = 0.4"
"""For campaigns: a fault of a second ends a lease."""
