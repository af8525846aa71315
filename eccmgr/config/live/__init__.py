"""The configuration that holds: effective values, transactions, store, and the parts that follow it."""
