-- Forgets a subscriber of a log: its checkpoint and its lease.
--
-- NEEDS  when_full
-- KEYS  pipe_state
-- ARGV  subscriber
-- Answer  {'forgotten'}, {'unknown'} (the log has no checkpoint of it)
-- Invariant  whoever had the lease writes nothing more under it.

local state, subscriber = KEYS[1], ARGV[1]
local known = redis.call('HEXISTS', state, 'at:' .. subscriber) + redis.call('HEXISTS', state, 'lease:' .. subscriber)
redis.call('HDEL', state, 'at:' .. subscriber, 'lease:' .. subscriber, 'has:' .. subscriber)
return { known > 0 and 'forgotten' or 'unknown' }
