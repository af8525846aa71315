-- The leader's sweep: ends lapsed sessions, forgets old commands and nodes that were absent for long, and renews the
-- lifetime of the cluster's own keys. Without sweeps these keys expire.
--
-- NEEDS  when_full clock members commands
-- KEYS  state sessions members roster absent absent_since seniority subclusters events log latest audit heads
--       vips changes late vip_holds jobs vip_beliefs
-- ARGV  max_step  absent_ttl  results_ttl  log_cap  command_prefix  audit_cap
-- Answer  {view, clock, ms until the next session lapses (-1 if there is no session)}

-- The time for which absent nodes are kept after the last sweep if absent_ttl is 0 (never forget), in ms.
local NEVER = 365 * 24 * 3600 * 1000

local at = {
  state = KEYS[1], sessions = KEYS[2], members = KEYS[3], roster = KEYS[4], absent = KEYS[5],
  absent_since = KEYS[6], seniority = KEYS[7], subclusters = KEYS[8], events = KEYS[9],
  audit = KEYS[12], audit_cap = ARGV[6],
}
local log, latest, heads = KEYS[10], KEYS[11], KEYS[13]
local max_step, absent_ttl, results_ttl, log_cap, command_prefix = unpack(ARGV)
local clock = advance(at.state, max_step)
redis.call('XLEN', at.audit)
end_lapsed(at, clock, 200)
local never = redis.call('ZRANGEBYSCORE', at.sessions, '(' .. ms(clock + LONGEST_LEASE), '+inf', 'LIMIT', 0, 200)
end_sessions(at, never, 'lost', clock)

-- The maximum number of kept absent nodes: nodes that come with a new name each time would fill Redis.
local ABSENT_MOST = 10000
local gone = {}
if tonumber(absent_ttl) > 0 then
  gone = redis.call('ZRANGEBYSCORE', at.absent_since, '-inf', ms(clock - tonumber(absent_ttl)), 'LIMIT', 0, 200)
end
local over = redis.call('ZCARD', at.absent_since) - ABSENT_MOST
if #gone == 0 and over > 0 then
  gone = redis.call('ZRANGE', at.absent_since, 0, math.min(over, 200) - 1)
end
local unnamed = {}
for _, node in ipairs(gone) do
  redis.call('HDEL', KEYS[14], '@' .. node, '~' .. node)
  redis.call('ZREM', KEYS[15], '@' .. node, '~' .. node)
  redis.call('ZREM', at.absent_since, node)
  redis.pcall('HDEL', KEYS[18], node)
  redis.pcall('HDEL', KEYS[19], node)
  -- A bus file's node stays expected for as long as the file names it.
  if redis.call('HEXISTS', at.subclusters, '=' .. node) == 0 then
    unnamed[#unnamed + 1] = node
  end
end
if #unnamed > 0 then
  remove_absent(at, unnamed)
  local view = next_view(at.state)
  audit_members(at, 'forgotten', unnamed)
  redis.call(PUBLISH, at.events, cjson.encode({ event = 'forgotten', view = view, members = unnamed }))
end

forget(log, latest, heads, command_prefix, clock - tonumber(results_ttl), tonumber(log_cap), 100)
-- A command for a set adds a channel for each of its nodes. Dropping all channels costs only this: a node may not
-- notice that it missed the very latest message.
if redis.call('HLEN', heads) > 2 * redis.call('HLEN', at.roster) + 1000 then
  redis.call('DEL', heads)
end
-- The keys of the membership outlive a stop of all daemons, for as long as absent nodes are kept. They all expire
-- together.
local kept = ms(KEYS_TTL + (tonumber(absent_ttl) > 0 and tonumber(absent_ttl) or NEVER))
for i, key in ipairs(KEYS) do
  if key ~= at.events then
    -- An older list of rights may lack a key that is only for showing.
    redis.pcall('PEXPIRE', key, i < 9 and kept or KEYS_TTL)
  end
end

local view = whole(redis.call('HGET', at.state, 'view')) or 0
local first = redis.call('ZRANGE', at.sessions, 0, 0, 'WITHSCORES')
local left = first[2] and math.min(LONGEST_LEASE, math.max(0, tonumber(first[2]) - clock)) or -1
return { ms(view), ms(clock), ms(left) }
