"""The code that talks to Redis directly: connections, key names, Lua scripts, an embedded server."""
