-- Reads the responses that a waiting gather has not seen yet, a page at a time.
--
-- NEEDS  when_full clock
-- KEYS  state command responses arrived
-- ARGV  max_step  number of responses that the gather has seen  maximum number of responses
--       number of responses once every node that may answer has answered
--       number of further responses after which the gather is notified  1 if the gather stops waiting
-- Answer  {clock, view, when the numbering of views began, {node, entry, node, entry, …},
--          when the command was withdrawn on the lease clock ('' if it was not), 1 if there is more to read}
-- Invariant  a call that reads the last response has the gather notified after that number of further responses, or
--            once all have come; a call that finds nothing has it notified of the next response.

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
