"""Audit series: counts of events by key, in windows, over the whole cluster."""
