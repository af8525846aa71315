"""The read-only pages, events and health of a daemon over HTTP (the extra `web`)."""
