-- The latest commands that were sent to nodes, newest first.
--
-- KEYS  state log
-- ARGV  max_step  how many at most  command_prefix
-- Answer  {{id, text, target kind, target name, issuer, wall clock of its issue, answered, expected}, …}; of a text
--         its first 1,024 bytes. A command that was flushed is left out.
-- Invariant  what it costs grows with the number asked for, not with the nodes that answered.

local state, log = unpack(KEYS)
local max_step, count, command_prefix = unpack(ARGV)
advance(state, max_step)
local found = {}
for _, entry in ipairs(redis.call('XREVRANGE', log, '+', '-', 'COUNT', count)) do
  local kept = redis.call('HMGET', command_prefix .. entry[2][2], 'id', 'text', 'kind', 'name', 'issuer',
    'issued_wall', 'answered', 'expected', 'shown', 'hidden')
  if kept[1] and not kept[10] then
    local text = (kept[9] or kept[2]):sub(1, 1024)
    found[#found + 1] = { kept[1], text, kept[3], kept[4], kept[5], kept[6], kept[7] or '0', kept[8] }
  end
end
return found
