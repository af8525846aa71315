-- A heartbeat: renews a session that has not ended.
--
-- KEYS  state sessions seniority heads roster
-- ARGV  max_step  lease  private_name  heartbeats a second that it sends (0: whatever the others send)
--       heartbeats a second that the server is to bear  what its last heartbeat was answered (0 '' 1 for the first):
--       view  leader  stretch  and then  channel …
-- Answer  {'renewed', view, clock, {latest log id of each channel, '0-0' for none}, private name of the leader
--          ('' for none), 1 where its session is over, how many times as long the lease is and its heartbeats are
--          to be apart}
--         {'ended'}
-- Invariant  a session that lapsed is never renewed; nor a node's that the roster does not hold, for nobody would expect
--            it, nor a node's or manager's without a rank, for it would never lead. All sessions together send no more
--            heartbeats than the server is to bear: where there are too many, their leases are stretched.

local state, sessions, seniority, heads, roster = unpack(KEYS)
local max_step, lease, private, rate, most, known, leader, stretch = unpack(ARGV)
local clock, wall = advance(state, max_step)
local view = redis.call('HGET', state, 'view') or '0'
local node = private:match('^#ec0%-[^#]*#(.*)$')
if node then
  local line = seat(redis.call('HGET', roster, node:lower()) or '')
  if line.private ~= private or not line.joined then
    return { 'ended' }
  elseif line.joined > tonumber(view) then
    -- The numbering went back: what was sent now would not be for us.
    view = ms(line.joined)
    redis.call('HSET', state, 'born', ms(math.max(wall, redis.call('HGET', state, 'born') + 1)), 'view', view)
  end
end
if (node or private:find('^#mgr%-')) and not redis.call('ZSCORE', seniority, private) then
  return { 'ended' }
end
-- Who leads, and how many there are, changes with the view alone.
if view ~= known then
  leader = redis.call('ZRANGE', seniority, 0, 0)[1] or ''
  stretch = 1
  if tonumber(rate) > 0 then
    stretch = string.format('%.3f', math.max(1, redis.call('ZCARD', sessions) * rate / most))
  end
end
local ends = redis.call('ZMSCORE', sessions, private, leader)
if not ends[1] or tonumber(ends[1]) <= clock then
  return { 'ended' }
end
redis.call('ZADD', sessions, ms(clock + lease * stretch), private)
if leader ~= '' and not ends[2] then
  redis.call('ZREM', seniority, leader)
end
local over = leader ~= '' and leader ~= private and (tonumber(ends[2] or nil) or 0) <= clock
local latest = {}
if #ARGV > 8 then
  latest = redis.call('HMGET', heads, unpack(ARGV, 9))
  for i = 1, #latest do
    latest[i] = latest[i] or '0-0'
  end
end
return { 'renewed', view, ms(clock), latest, leader, over and 1 or 0, tostring(stretch) }
