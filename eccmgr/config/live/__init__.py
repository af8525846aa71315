"""The configuration in force: effective values, transactions, the store, and the parts that follow it."""
