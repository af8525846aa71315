-- A run has ended, or is given up for lost.
--
-- NEEDS  nothing
-- KEYS  firings past
-- ARGV  id  the run as it was taken  the run as it ended  how many past runs are kept  for how long, in ms
-- Answer  'kept', 'gone' (another has said how it ended)
-- Invariant  each run ends once.

local firings, past = unpack(KEYS)
local id, taken, ended, cap, ttl = unpack(ARGV)
if redis.call('HGET', firings, id) ~= taken then
  return 'gone'
end
redis.call('LLEN', past)
-- What is written first needs memory: a server that is full refuses it, and the run stays as it is.
redis.call('LPUSH', past, ended)
redis.call('HDEL', firings, id)
redis.call('LTRIM', past, 0, cap - 1)
redis.call('PEXPIRE', past, ttl)
return 'kept'
