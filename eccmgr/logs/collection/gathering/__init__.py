"""A manager's side: what the pipes hold is written to the files of this manager."""
