"""Metrics in Prometheus' text format. Only a scrape imports this: the library takes memory."""
