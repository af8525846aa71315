-- A heartbeat: renews a live session.
--
-- NEEDS  when_full clock members eras
-- KEYS  state sessions seniority heads roster vips changes late members subclusters events
-- ARGV  max_step  lease  private_name
--       heartbeats a second that the session sends (0: a steady rate, which is never stretched)
--       heartbeats a second that the server is to bear
--       view, leader and stretch in the answer to the last heartbeat (0, '' and 1 for the first one)
--       1 if the session carries VIPs  era seen  memory seen  ms after which the session looks late
--       ended_prefix  the member's record (JSON; '' if it does not matter)  then channel …
-- Answer  {'renewed', view, clock, {latest log id of each channel, '0-0' for none}, private name of the leader
--          ('' for none), 1 if the leader's session has lapsed, stretch of the lease and of the heartbeat interval,
--          VIPs, number of the latest change of what bus files say ('' if nobody has read one)}
--             VIPs is {} for a session that carries none, else {era, memory, 1 if the era is open,
--             number of the latest change of a VIP, {session that looks late, its counter, …}}
--         {'ended'}, followed by era and memory for a session that carries VIPs
--         {'rejoin', era, memory}  the session carries VIPs, and has not joined in this era
-- Invariant  a session is renewed only if it has not lapsed, and if others find it in the roster and in the ranking.
--            All sessions together send no more heartbeats than the server is to bear: if there are too many, their
--            leases are stretched. The cost does not grow with the VIPs. The roster has the tags of the member's record:
--            if they have changed, there is a new view.

local state, sessions, seniority, heads, roster = unpack(KEYS)
local max_step, lease, private, rate, most, known, leader, stretch, carries, seen, memory, late_after,
  ended_prefix, record = unpack(ARGV)
local at = { state = state, seniority = seniority, roster = roster, vips = KEYS[6], changes = KEYS[7], late = KEYS[8],
  subclusters = KEYS[10] }
local clock, wall = advance(state, max_step)
local era = carries == '1' and enter_era(at, seen)
local verdict = era and verdict_on(at, era, private, memory, ended_prefix) or 'ok'
if verdict ~= 'ok' then
  return { verdict, ms(era.number), era.memory }
end
local expiry = tonumber(redis.call('ZSCORE', sessions, private) or '')
if is_over(expiry, clock) or not has_place(at, private, wall) then
  return era and { 'ended', ms(era.number), era.memory } or { 'ended' }
end
-- Anybody who reaches Redis may have dropped or overwritten the data that the member wrote when it joined.
local node = private:match('^#ec0%-[^#]*#(.*)$')
local name = node and node:lower() or private
local is_lost = record ~= '' and redis.call('HGET', KEYS[9], name) ~= record
if is_lost then
  redis.call('HSET', KEYS[9], name, record)
  end_some_day({ KEYS[9] })
  local line = node and redis.call('HGET', roster, name) or ''
  local place, was = line:match('^([^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*)\t?(.*)$')
  local tags = place and tags_in(record)
  if tags ~= was then
    redis.call('HSET', roster, name, roster_line({ place }, tags))
    redis.call(PUBLISH, KEYS[11], cjson.encode({
      event = 'tagged', view = next_view(state), members = { private }, to = tags,
    }))
  end
end
local numbers = redis.call('HMGET', state, 'view', 'bus')
local view = numbers[1] or '0'
-- The leader and the number of sessions change only with the view.
if view ~= known then
  leader = redis.call('ZRANGE', seniority, 0, 0)[1] or ''
  stretch = stretch_of(sessions, rate, most)
end
redis.call('ZADD', sessions, ms(clock + lease * stretch), private)
local leads_until = leader ~= '' and redis.call('ZSCORE', sessions, leader)
if leader ~= '' and not leads_until then
  redis.call('ZREM', seniority, leader)
  leader = redis.call('ZRANGE', seniority, 0, 0)[1] or ''
  leads_until = leader ~= '' and redis.call('ZSCORE', sessions, leader)
end
local over = leader ~= '' and is_over(tonumber(leads_until or ''), clock)
local latest = {}
if #ARGV > 14 then
  latest = redis.call('HMGET', heads, unpack(ARGV, 15))
  for i = 1, #latest do
    latest[i] = latest[i] or '0-0'
  end
end
local vips = {}
if era then
  count_renewal(at, era, private, clock, late_after)
  vips = standing(at, era, private, clock)
end
return { 'renewed', view, ms(clock), latest, leader, over and 1 or 0, tostring(stretch), vips,
  numbers[2] or '' }
