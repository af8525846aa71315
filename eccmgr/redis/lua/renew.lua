-- A heartbeat: renews a session that has not ended.
--
-- KEYS  state sessions seniority heads roster
-- ARGV  max_step  lease  private_name  channel …
-- Answer  {'renewed', view, clock, {latest log id of each channel, '0-0' for none}, private name of the leader
--          ('' for none), 1 where its session is over}
--         {'ended'}
-- Invariant  a session that lapsed is never renewed, nor one that has lost its place among the others.

local state, sessions, seniority, heads, roster = unpack(KEYS)
local max_step, lease, private = unpack(ARGV)
local clock, wall = advance(state, max_step)
local expiry = tonumber(redis.call('ZSCORE', sessions, private))
if not expiry or expiry <= clock then
  return { 'ended' }
end
if not has_place({ state = state, seniority = seniority, roster = roster }, private, wall) then
  return { 'ended' }
end
redis.call('ZADD', sessions, 'XX', ms(clock + tonumber(lease)), private)
local leader = redis.call('ZRANGE', seniority, 0, 0)[1] or ''
local over = 0
local ends = leader ~= '' and redis.call('ZSCORE', sessions, leader)
if leader ~= '' and not ends then
  redis.call('ZREM', seniority, leader)
end
if leader ~= '' and tonumber(ends or 0) <= clock then
  over = 1
end
local latest = {}
for i = 4, #ARGV do
  latest[#latest + 1] = redis.call('HGET', heads, ARGV[i]) or '0-0'
end
return { 'renewed', redis.call('HGET', state, 'view'), ms(clock), latest, leader, over }
