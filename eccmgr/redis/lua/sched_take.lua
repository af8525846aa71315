-- Takes a run of a schedule that is due, and sets the time of the next run.
--
-- NEEDS  nothing
-- KEYS  schedules due firings past
-- ARGV  id  the due time that the caller saw  the next due time ('' for never)
--       the record of the run while it lasts ('' if it is too late to run it)
--       the record to keep instead if it is too late, or if the previous run has not ended
--       maximum number of past runs  ms for which they are kept
-- Answer  'taken', 'kept' (it does not run, and the second record says why), 'gone' (another manager took it, or it was
--         deleted)
-- Invariant  one manager takes each due time, and it is kept as a running or a past run. If Redis refuses to write,
--            nothing is done.

local schedules, due, firings, past = unpack(KEYS)
local id, seen, following, run, instead, cap, ttl = unpack(ARGV)
if redis.call('ZSCORE', due, id) ~= seen then
  return 'gone'
end
-- Each key is read before anything is written: a key of another kind ends the script here, with nothing done.
redis.call('HLEN', schedules)
redis.call('HLEN', firings)
redis.call('LLEN', past)
-- The first write needs memory: a server whose memory is full refuses it, and the schedule stays as it is.
local taken = run ~= '' and redis.call('HSETNX', firings, id, run) == 1
if not taken then
  redis.call('LPUSH', past, instead)
  redis.call('LTRIM', past, 0, cap - 1)
  redis.call('PEXPIRE', past, ttl)
end
if following == '' then
  redis.call('ZREM', due, id)
  redis.call('HDEL', schedules, id)
else
  redis.call('ZADD', due, following, id)
end
return taken and 'taken' or 'kept'
