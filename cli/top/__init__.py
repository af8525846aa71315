"""`ec_console top`: the cluster on a full screen, as the feed of a manager tells it."""
