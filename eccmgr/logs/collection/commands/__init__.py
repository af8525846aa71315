"""The commands about collected logs."""
