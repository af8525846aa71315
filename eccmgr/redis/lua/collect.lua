-- Reads the responses that a waiting gather has not seen yet, a page at a time.
--
-- NEEDS  when_full clock
-- KEYS  state command responses arrived
-- ARGV  max_step  number of responses that the gather has seen  maximum number of responses
--       number of responses once every node that may answer has answered
--       number of further responses after which the gather is notified
--       driver ('' for a reader that only watches)  ms for which it drives without a further look
--       '' | stop: the sender stops waiting | hold: the driver goes, and another one may take its place
-- Answer  {clock, view, when the numbering of views began, {node, entry, node, entry, …},
--          when the command was withdrawn on the lease clock ('' if it was not), 1 if there is more to read,
--          when its sender stops or stopped waiting ('' if it never waited), whether it is driven: mine | other | none}
-- Invariant  only the driver changes the command. A call of the driver that reads the last response has the gather
--            notified after that number of further responses, or once all have come; one that finds nothing has it
--            notified of the next response.

local state, command, responses, arrived = unpack(KEYS)
local max_step, seen, limit, in_all, told_of, driver, driven, parting = unpack(ARGV)
local clock = advance(state, max_step)
local nodes = redis.call('LRANGE', arrived, seen, seen + limit - 1)
local kept = redis.call('HMGET', command, 'aborted', 'id', 'waited', 'driver', 'driven', 'followed')
local more = #nodes == tonumber(limit) and redis.call('LLEN', arrived) > seen + limit
local drives = 'mine'
if driver == '' or (kept[4] or driver) ~= driver then
  drives = (kept[4] or '') ~= '' and clock < (whole(kept[5]) or 0) and 'other' or 'none'
elseif kept[2] and parting == 'stop' then
  redis.call('HSET', command, 'notices', '', 'waited', ms(clock), 'driver', '')
  kept[3] = ms(clock)
  if kept[6] then
    redis.call('HSET', command, 'tell_at', '0')
  else
    redis.call('HDEL', command, 'tell_at')
  end
elseif kept[2] and parting == 'hold' then
  redis.call('HSET', command, 'notices', '', 'tell_at', '0', 'driver', '')
elseif kept[2] and more then
  redis.call('HSET', command, 'driven', ms(clock + driven))
elseif kept[2] then
  redis.call('HSET', command, 'driven', ms(clock + driven),
    'tell_at', ms(#nodes == 0 and seen + 1 or math.min(in_all, seen + #nodes + told_of)))
end
local found = {}
if #nodes > 0 then
  for i, entry in ipairs(redis.call('HMGET', responses, unpack(nodes))) do
    found[2 * i - 1], found[2 * i] = nodes[i], entry
  end
end
local view, born = view_now(state)
return { ms(clock), view, born, found, kept[1] or '', more and 1 or 0,
  whole(kept[3]) and kept[3] or '', drives }
