-- A heartbeat: renews a session that has not ended.
--
-- KEYS  state sessions seniority heads roster
-- ARGV  max_step  lease  private_name  channel …
-- Answer  {'renewed', view, clock, {latest log id of each channel, '0-0' for none}, private name of the leader
--          ('' for none), 1 where its session is over}
--         {'ended'}
-- Invariant  a session that lapsed is never renewed; nor a node's that the roster does not hold, for nobody would expect
--            it, nor a node's or manager's without a rank, for it would never lead.

local state, sessions, seniority, heads, roster = unpack(KEYS)
local max_step, lease, private = unpack(ARGV)
local clock, wall = advance(state, max_step)
local expiry = tonumber(redis.call('ZSCORE', sessions, private))
if not expiry or expiry <= clock then
  return { 'ended' }
end
local view = current_view(state)
local node = private:match('^#ec0%-[^#]*#(.*)$')
if node then
  local line = seat(redis.call('HGET', roster, node:lower()) or '')
  if line.private ~= private or not line.joined then
    return { 'ended' }
  elseif line.joined > view then
    -- The numbering went back: what was sent now would not be for us.
    view = line.joined
    redis.call('HSET', state, 'born', ms(math.max(wall, redis.call('HGET', state, 'born') + 1)), 'view', ms(view))
  end
end
if (node or private:find('^#mgr%-')) and not redis.call('ZSCORE', seniority, private) then
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
return { 'renewed', ms(view), ms(clock), latest, leader, over }
