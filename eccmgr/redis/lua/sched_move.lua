-- Makes a schedule due at another time, or deletes it.
--
-- NEEDS  nothing
-- KEYS  schedules due
-- ARGV  id  the due time that the caller saw ('' for any or none, '-' for none)  the new due time ('' deletes the schedule)
-- Answer  'moved', 'gone' (it was deleted, or is due at another time by now)
-- Invariant  each kept schedule has a time at which it is due.

local schedules, due = unpack(KEYS)
local id, seen, at = unpack(ARGV)
local now = redis.call('ZSCORE', due, id)
local is_kept = redis.call('HEXISTS', schedules, id) == 1
local is_as_seen = seen == '' and (now or is_kept) or seen == '-' and is_kept and not now or seen ~= '' and now == seen
if not is_as_seen then
  return 'gone'
end
if at == '' then
  redis.call('ZREM', due, id)
  redis.call('HDEL', schedules, id)
else
  redis.call('ZADD', due, at, id)
end
return 'moved'
