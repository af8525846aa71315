-- A process becomes a member under a fresh private name.
--
-- A process that carries VIPs joins again in each era, under the same private name. If it is still a member, the script
-- only renews its session and records it in the era.
--
-- NEEDS  when_full clock members eras
-- KEYS  state sessions members roster absent absent_since seniority subclusters events vips changes late
--       audit
-- ARGV  max_step  lease  private_name  node_name ('' for a member that is not a node)  subcluster  record (JSON)
--       rank (manager | node | other)  private name of the caller's own session that this one replaces ('' for none)
--       1 to take the name over from a live holder  1 if the session carries VIPs  era seen
--       ms after which the session looks late  ended_prefix
--       heartbeats a second that the session sends (0: a steady rate, which is never stretched)
--       heartbeats a second that the server is to bear  audit_cap
-- Answer  {'joined', view, clock, last log id, VIPs, stretch of the lease and of the heartbeat interval}
--             VIPs is {} for a session that carries none, else {era, memory, 1 if the era is open,
--             number of the latest change of a VIP, {session that looks late, its counter, …}}
--         {'ended', era, memory}  this private name has ended for ever
--         {'taken', private name of the holder, ms left of the holder's session}
-- Invariant  a node name has at most one live session; a session that is taken over ends in the same step. The work
--            of a replaced session is not lost: the session that replaces it goes on with it.

local at = {
  state = KEYS[1], sessions = KEYS[2], members = KEYS[3], roster = KEYS[4], absent = KEYS[5],
  absent_since = KEYS[6], seniority = KEYS[7], subclusters = KEYS[8], events = KEYS[9],
  vips = KEYS[10], changes = KEYS[11], late = KEYS[12], audit = KEYS[13], audit_cap = ARGV[16],
}
local max_step, lease, private, name, subcluster, record, rank, replaced, takes_over, carries, seen, late_after,
  ended_prefix, rate, most = unpack(ARGV)
local clock = advance(at.state, max_step)
redis.call('XLEN', at.audit)
local era = carries == '1' and enter_era(at, seen)
if era and redis.call('EXISTS', ended_prefix .. private) == 1 then
  return { 'ended', ms(era.number), era.memory }
end

local stretch = stretch_of(at.sessions, rate, most)

local function joined(view)
  local vips = {}
  if era then
    count_renewal(at, era, private, clock, late_after)
    vips = standing(at, era, private, clock)
  end
  return { 'joined', ms(view), ms(clock), redis.call('HGET', at.state, 'last') or '0-0', vips, tostring(stretch) }
end

end_lapsed(at, clock, 100)
if replaced ~= '' and redis.call('ZSCORE', at.sessions, replaced) then
  end_sessions(at, { replaced }, 'leave', clock)
else
  replaced = ''
end

local node = name:lower()
local holder = node ~= '' and redis.call('HGET', at.roster, node)
local unreadable = holder and seat(holder).private == ''
local taken = false
if holder and not unreadable then
  local held = seat(holder).private
  local expiry = tonumber(redis.call('ZSCORE', at.sessions, held) or '')
  local alive = not is_over(expiry, clock)
  if alive and held == private and seat(holder).joined then
    redis.call('ZADD', at.sessions, ms(clock + lease * stretch), private)
    return joined(seat(holder).joined)
  end
  if alive and held ~= private and takes_over ~= '1' then
    return { 'taken', held, ms(expiry - clock) }
  end
  taken = alive
  end_sessions(at, { held }, alive and 'replaced' or 'lost', clock)
end

local view, since = next_view(at.state), nil
redis.call('ZADD', at.sessions, ms(clock + lease * stretch), private)
if node ~= '' then
  redis.call('HSET', at.members, node, record)
  redis.call('HSET', at.roster, node,
    roster_line({ private, name, subcluster, ms(view), replaced }, tags_in(record)))
  local line = remove_absent(at, { node })[node]
  -- A node that continues its own session, or one that it took over, was never away.
  since = line and replaced == '' and not taken and absent_since(line)
  if unreadable then
    recount_subcluster(at, subcluster:lower())
  else
    count_subcluster(at, subcluster, 1)
  end
  if not era and redis.call('HEXISTS', at.vips, '@' .. node) == 1 then
    -- The node no longer takes part in VIPs.
    redis.call('HSET', at.vips, '@' .. node, '')
    next_change(at, '@' .. node)
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
audit_members(at, 'join', { private }, 'subcluster', subcluster, 'since', since or '')
redis.call(PUBLISH, at.events, cjson.encode({
  event = 'join', view = view, members = { private }, since = since or nil,
}))
return joined(view)
