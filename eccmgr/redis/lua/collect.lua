-- What a waiting gather has not seen yet.
--
-- KEYS  state command responses arrived roster absent
-- ARGV  max_step  how many it has seen  view_prefix  ttl of a kept roster in ms  views that the caller has
--       1 where it waits no longer
-- Answer  {clock, view, roster of the view or '' where the caller has it, {node, entry, node, entry, …},
--          when it was withdrawn on the lease clock, '' where it was not}
-- Invariant  after this call the next response raises a notice.

local at = { state = KEYS[1], roster = KEYS[5], absent = KEYS[6] }
local command, responses, arrived = KEYS[2], KEYS[3], KEYS[4]
local max_step, seen, view_prefix, ttl, known, last = unpack(ARGV)
local clock = advance(at.state, max_step)
if redis.call('EXISTS', command) == 1 then
  redis.call('HDEL', command, 'noticed')
  if last == '1' then
    redis.call('HSET', command, 'notices', '', 'waited', ms(clock))
  end
end
local found = {}
local nodes = redis.call('LRANGE', arrived, seen, -1)
for from = 1, #nodes, 1000 do
  local entries = redis.call('HMGET', responses, unpack(nodes, from, math.min(from + 999, #nodes)))
  for i, entry in ipairs(entries) do
    found[#found + 1] = nodes[from + i - 1]
    found[#found + 1] = entry
  end
end
local view = current_view(at.state)
return { ms(clock), ms(view), holds(known, at.state, view) and '' or roster_of(at, view, view_prefix, ttl), found,
  redis.call('HGET', command, 'aborted') or '' }
