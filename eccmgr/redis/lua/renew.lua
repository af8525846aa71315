-- A heartbeat: renews a session that has not ended.
--
-- KEYS  state sessions seniority
-- ARGV  max_step  lease  private_name
-- Answer  {'renewed', view, clock, last log id, private name of the leader ('' for none), 1 where its session is over}
--         {'ended'}
-- Invariant  a session that lapsed is never renewed.

local state, sessions, seniority = unpack(KEYS)
local max_step, lease, private = unpack(ARGV)
local clock = advance(state, max_step)
local expiry = tonumber(redis.call('ZSCORE', sessions, private))
if not expiry or expiry <= clock then
  return { 'ended' }
end
redis.call('ZADD', sessions, 'XX', ms(clock + tonumber(lease)), private)
local leader = redis.call('ZRANGE', seniority, 0, 0)[1] or ''
local over = 0
if leader ~= '' and (tonumber(redis.call('ZSCORE', sessions, leader)) or 0) <= clock then
  over = 1
end
local kept = redis.call('HMGET', state, 'view', 'last')
return { 'renewed', kept[1], ms(clock), kept[2] or '0-0', leader, over }
