-- A heartbeat: renews a session that has not ended.
--
-- KEYS  state sessions seniority heads vips changes late
-- ARGV  max_step  lease  private_name  1 where the session carries VIPs  era seen  memory seen
--       ms after which it looks late  ended_prefix  channel …
-- Answer  {'renewed', view, clock, {latest log id of each channel, '0-0' for none}, private name of the leader
--          ('' for none), 1 where its session is over, {era, memory, 1 where it is open, number of the latest change of
--          a VIP, {session that looks late, its counter, …}}, which is empty for a session that carries none}
--         {'ended'}, and for a session that carries VIPs era and memory
--         {'rejoin', era, memory}  it carries VIPs, and has not joined in this era
-- Invariant  a session that lapsed is never renewed. What this costs does not grow with the VIPs.

local state, sessions, seniority, heads = unpack(KEYS)
local max_step, lease, private, carries, seen, memory, late_after, ended_prefix = unpack(ARGV)
local at = { state = state, vips = KEYS[5], changes = KEYS[6], late = KEYS[7] }
local clock = advance(state, max_step)
local era = carries == '1' and enter_era(at, seen)
local verdict = era and verdict_on(at, era, private, memory, ended_prefix) or 'ok'
if verdict ~= 'ok' then
  return { verdict, ms(era.number), era.memory }
end
local expiry = tonumber(redis.call('ZSCORE', sessions, private))
if not expiry or expiry <= clock then
  return era and { 'ended', ms(era.number), era.memory } or { 'ended' }
end
redis.call('ZADD', sessions, 'XX', ms(clock + tonumber(lease)), private)
local leader = redis.call('ZRANGE', seniority, 0, 0)[1] or ''
local over = 0
if leader ~= '' and (tonumber(redis.call('ZSCORE', sessions, leader)) or 0) <= clock then
  over = 1
end
local latest = {}
for i = 9, #ARGV do
  latest[#latest + 1] = redis.call('HGET', heads, ARGV[i]) or '0-0'
end
local vips = {}
if era then
  count_renewal(at, era, private, clock, late_after)
  vips = standing(at, era, private, clock)
end
return { 'renewed', redis.call('HGET', state, 'view'), ms(clock), latest, leader, over, vips }
