"""The console's side of the control protocol."""
