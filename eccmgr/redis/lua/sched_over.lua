-- Records that a run has ended, or that it counts as lost.
--
-- NEEDS  nothing
-- KEYS  firings past
-- ARGV  id  the run as it was taken  the run as it ended  maximum number of past runs  ms for which they are kept
-- Answer  'kept', 'gone' (another manager has recorded its end)
-- Invariant  each run ends once.

local firings, past = unpack(KEYS)
local id, taken, ended, cap, ttl = unpack(ARGV)
if redis.call('HGET', firings, id) ~= taken then
  return 'gone'
end
redis.call('LLEN', past)
-- The first write needs memory: a server whose memory is full refuses it, and the run stays as it is.
redis.call('LPUSH', past, ended)
redis.call('HDEL', firings, id)
redis.call('LTRIM', past, 0, cap - 1)
redis.call('PEXPIRE', past, ttl)
return 'kept'
