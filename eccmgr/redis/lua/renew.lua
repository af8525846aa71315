-- A heartbeat: renews a session that has not ended.
--
-- KEYS  state sessions seniority heads
-- ARGV  max_step  lease  private_name  heartbeats a second that it sends (0: whatever the others send)
--       heartbeats a second that the server is to bear  channel …
-- Answer  {'renewed', view, clock, {latest log id of each channel, '0-0' for none}, private name of the leader
--          ('' for none), 1 where its session is over, how many times as long the lease is and its heartbeats are
--          to be apart}
--         {'ended'}
-- Invariant  a session that lapsed is never renewed. All sessions together send no more heartbeats than the server is
--            to bear: where there are too many, their leases are stretched.

local state, sessions, seniority, heads = unpack(KEYS)
local max_step, lease, private, rate, most = unpack(ARGV)
local clock = advance(state, max_step)
local expiry = tonumber(redis.call('ZSCORE', sessions, private))
if not expiry or expiry <= clock then
  return { 'ended' }
end
local stretch = 1
if tonumber(rate) > 0 then
  stretch = math.max(1, redis.call('ZCARD', sessions) * rate / most)
end
redis.call('ZADD', sessions, ms(clock + lease * stretch), private)
local leader = redis.call('ZRANGE', seniority, 0, 0)[1] or ''
local over = 0
if leader ~= '' and leader ~= private and (tonumber(redis.call('ZSCORE', sessions, leader)) or 0) <= clock then
  over = 1
end
local latest = {}
if #ARGV > 5 then
  latest = redis.call('HMGET', heads, unpack(ARGV, 6))
  for i = 1, #latest do
    latest[i] = latest[i] or '0-0'
  end
end
return { 'renewed', redis.call('HGET', state, 'view'), ms(clock), latest, leader, over,
  string.format('%.3f', stretch) }
