"""The feed: what a manager knows of its cluster, as snapshots and changes, for any number of readers."""
