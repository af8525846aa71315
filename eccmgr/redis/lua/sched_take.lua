-- Takes a run of a schedule that is due, and says when the next one is.
--
-- NEEDS  nothing
-- KEYS  schedules due firings past
-- ARGV  id  when it was seen to be due  when it is next due ('' for never)
--       the run, as it is kept while it lasts; as it is kept where the run before has not ended; '' instead of the
--       first where it is too late to run it, then the second says so  how many past runs are kept  for how long, in ms
-- Answer  'taken', 'kept' (it is not run, and that is kept), 'gone' (another has taken it, or it was deleted)
-- Invariant  each time that a schedule is due is taken by one, and kept as running or past; where Redis refuses to write,
--            nothing was done.

local schedules, due, firings, past = unpack(KEYS)
local id, seen, following, run, instead, cap, ttl = unpack(ARGV)
if redis.call('ZSCORE', due, id) ~= seen then
  return 'gone'
end
-- Each key is read before anything is written: one of another kind ends the script here, with nothing done.
redis.call('HLEN', schedules)
redis.call('HLEN', firings)
redis.call('LLEN', past)
-- What is written first needs memory: a server that is full refuses it, and the schedule stays as it is.
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
