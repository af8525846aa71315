-- What a waiting gather has not seen yet, a part at a time.
--
-- NEEDS  when_full clock
-- KEYS  state command responses arrived
-- ARGV  max_step  how many it has seen  how many to read at most
--       how many there are once all have answered that may  of how many at once it is told
--       1 where it waits no longer
-- Answer  {clock, view, when the numbering of views began, {node, entry, node, entry, …},
--          when it was withdrawn on the lease clock, '' where it was not, 1 where there is more}
-- Invariant  after a call that has read all it is told when so many more are there, or all; after one that found
--            nothing, of the next.

local state, command, responses, arrived = unpack(KEYS)
local max_step, seen, limit, in_all, told_of, last = unpack(ARGV)
local clock = advance(state, max_step)
local nodes = redis.call('LRANGE', arrived, seen, seen + limit - 1)
local kept = redis.call('HMGET', command, 'aborted', 'id')
local more = #nodes == tonumber(limit) and redis.call('LLEN', arrived) > seen + limit
if kept[2] and last == '1' then
  redis.call('HSET', command, 'notices', '', 'waited', ms(clock))
  redis.call('HDEL', command, 'tell_at')
elseif kept[2] and not more then
  redis.call('HSET', command, 'tell_at', ms(#nodes == 0 and seen + 1 or math.min(in_all, seen + #nodes + told_of)))
end
local found = {}
if #nodes > 0 then
  for i, entry in ipairs(redis.call('HMGET', responses, unpack(nodes))) do
    found[2 * i - 1], found[2 * i] = nodes[i], entry
  end
end
local view, born = view_now(state)
return { ms(clock), view, born, found, kept[1] or '', more and 1 or 0 }
