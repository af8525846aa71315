"""The calls of the cluster's Lua scripts: one typed function for each script, whose `ScriptCall` any connection sends.

`membership` has those of sessions, `views` those of expected nodes, `commands` those of the sender, `answers` those of
the nodes' answers.
"""
