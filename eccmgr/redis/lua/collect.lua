-- What a waiting gather has not seen yet, a part at a time.
--
-- KEYS  state command responses arrived
-- ARGV  max_step  how many it has seen  how many to read at most  1 where it waits no longer
-- Answer  {clock, view, when the numbering of views began, {node, entry, node, entry, …},
--          when it was withdrawn on the lease clock, '' where it was not, 1 where there is more}
-- Invariant  after a call that has read all, the next response raises a notice.

local state, command, responses, arrived = unpack(KEYS)
local max_step, seen, limit, last = unpack(ARGV)
local clock = advance(state, max_step)
local nodes = redis.call('LRANGE', arrived, seen, seen + limit - 1)
local kept = redis.call('HMGET', command, 'noticed', 'aborted', 'id')
local more = #nodes == tonumber(limit)
if kept[3] and last == '1' then
  redis.call('HSET', command, 'notices', '', 'waited', ms(clock))
end
if kept[1] and not more then
  redis.call('HDEL', command, 'noticed')
end
local found = {}
if #nodes > 0 then
  for i, entry in ipairs(redis.call('HMGET', responses, unpack(nodes))) do
    found[2 * i - 1], found[2 * i] = nodes[i], entry
  end
end
local view, born = view_now(state)
return { ms(clock), view, born, found, kept[2] or '', more and 1 or 0 }
