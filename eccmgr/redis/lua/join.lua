-- A process becomes a member under a fresh private name.
--
-- KEYS  state sessions members roster absent absent_since seniority subclusters events
-- ARGV  max_step  lease  private_name  node_name ('' for what is no node)  subcluster  record (JSON)
--       rank (manager | node | other)  private name of the caller's own session that this one replaces ('' for none)
--       1 where the name is taken over from a live holder
-- Answer  {'joined', view, clock, last log id}
--         {'taken', private name of the holder, what is left of its session in ms}
-- Invariant  a node name has at most one live session; one that is taken over ends in the same step. What a replaced session has begun is not lost: it lives on
--            in the one that replaced it.

local at = {
  state = KEYS[1], sessions = KEYS[2], members = KEYS[3], roster = KEYS[4], absent = KEYS[5],
  absent_since = KEYS[6], seniority = KEYS[7], subclusters = KEYS[8], events = KEYS[9],
}
local max_step, lease, private, name, subcluster, record, rank, replaced, takes_over = unpack(ARGV)
local clock = advance(at.state, max_step)
end_lapsed(at, clock, 100)
if replaced ~= '' and redis.call('ZSCORE', at.sessions, replaced) then
  end_sessions(at, { replaced }, 'leave', clock)
else
  replaced = ''
end

local node = name:lower()
local holder = node ~= '' and redis.call('HGET', at.roster, node)
local unreadable = holder and seat(holder).private == ''
if holder and not unreadable then
  local held = seat(holder).private
  local expiry = tonumber(redis.call('ZSCORE', at.sessions, held))
  local alive = expiry and expiry > clock
  if alive and takes_over ~= '1' then
    return { 'taken', held, ms(expiry - clock) }
  end
  end_sessions(at, { held }, alive and 'replaced' or 'lost', clock)
end

local view = next_view(at.state)
redis.call('ZADD', at.sessions, ms(clock + tonumber(lease)), private)
if node ~= '' then
  redis.call('HSET', at.members, node, record)
  redis.call('HSET', at.roster, node, table.concat({ private, name, subcluster, ms(view), replaced }, '\t'))
  redis.call('HDEL', at.absent, node)
  redis.call('ZREM', at.absent_since, node)
  if unreadable then
    recount_subcluster(at, subcluster:lower())
  else
    count_subcluster(at, subcluster, 1)
  end
else
  redis.call('HSET', at.members, private, record)
end
-- Views stay far below 2^40, so every manager ranks before every node.
if rank == 'manager' then
  redis.call('ZADD', at.seniority, view, private)
elseif rank == 'node' then
  redis.call('ZADD', at.seniority, view + 1099511627776, private)
end
end_some_day({ at.sessions, at.members, at.roster, at.seniority, at.subclusters })
redis.call(PUBLISH, at.events, cjson.encode({ event = 'join', view = view, members = { private } }))
return { 'joined', ms(view), ms(clock), redis.call('HGET', at.state, 'last') or '0-0' }
