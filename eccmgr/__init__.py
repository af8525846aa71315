"""eccmgr: what managers and nodes share, and the manager itself."""
