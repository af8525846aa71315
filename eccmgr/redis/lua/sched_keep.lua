-- Gives a run that could not begin yet more time before it counts as lost.
--
-- NEEDS  nothing
-- KEYS  firings
-- ARGV  id  the run as it was taken  the run as it is kept from now on
-- Answer  'kept', 'gone' (another manager has recorded its end)
-- Invariant  a run that has ended does not begin again.

local id, taken, longer = unpack(ARGV)
if redis.call('HGET', KEYS[1], id) ~= taken then
  return 'gone'
end
redis.call('HSET', KEYS[1], id, longer)
return 'kept'
