"""All that touches Redis directly: connections, key names, Lua scripts, an embedded server."""
