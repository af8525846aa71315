"""The calls of the cluster's Lua scripts: one typed function for each script makes a `ScriptCall`, which any connection
can send.

`membership` has the calls about sessions, `views` about expected nodes, `commands` the calls of a sender, and `answers`
about the nodes' answers.
"""
