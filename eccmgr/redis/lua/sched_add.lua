-- Keeps a schedule.
--
-- NEEDS  nothing
-- KEYS  schedules due
-- ARGV  id  the schedule  when it is due in ms  how many there may be
-- Answer  'added', 'taken' (try another id), 'full'
-- Invariant  a schedule that is kept is due at some time.

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
