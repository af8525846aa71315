-- Lets a schedule be due at another time, or never.
--
-- NEEDS  nothing
-- KEYS  schedules due
-- ARGV  id  when it was seen to be due ('' for whenever)  when it is due instead ('' deletes it)
-- Answer  'moved', 'gone' (it was deleted, or is due at another time by now)
-- Invariant  a schedule that is kept is due at some time.

local schedules, due = unpack(KEYS)
local id, seen, at = unpack(ARGV)
local now = redis.call('ZSCORE', due, id)
if not now or (seen ~= '' and now ~= seen) then
  return 'gone'
end
redis.call('HLEN', schedules)
if at == '' then
  redis.call('ZREM', due, id)
  redis.call('HDEL', schedules, id)
else
  redis.call('ZADD', due, at, id)
end
return 'moved'
