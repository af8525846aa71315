-- Keeps a schedule.
--
-- NEEDS  nothing
-- KEYS  schedules due
-- ARGV  id  the schedule  when it is due in ms  maximum number of schedules
-- Answer  'added', 'taken' (try another id), 'full'
-- Invariant  each kept schedule has a time at which it is due.

local schedules, due = unpack(KEYS)
local id, schedule, at, limit = unpack(ARGV)
if redis.call('HEXISTS', schedules, id) == 1 then
  return 'taken'
elseif redis.call('HLEN', schedules) >= tonumber(limit) then
  return 'full'
end
redis.call('ZCARD', due)
redis.call('HSET', schedules, id, schedule)
redis.call('ZADD', due, at, id)
return 'added'
