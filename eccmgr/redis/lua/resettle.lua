-- A node that states no subcluster follows its bus file to another one; its session and all that rests on it go on.
--
-- NEEDS  when_full clock members
-- KEYS  state sessions members roster subclusters events
-- ARGV  max_step  private_name  node name in small letters  subcluster  record (JSON)
-- Answer  {'moved', view}
--         {'ended'}  the session is over, or has lost its place: join again
-- Invariant  what was sent to a subcluster in an earlier view is for those who were in it then.

local at = {
  state = KEYS[1], sessions = KEYS[2], members = KEYS[3], roster = KEYS[4], subclusters = KEYS[5], events = KEYS[6],
}
local max_step, private, node, subcluster, record = unpack(ARGV)
local clock = advance(at.state, max_step)
local expiry = tonumber(redis.call('ZSCORE', at.sessions, private) or nil)
local line = redis.call('HGET', at.roster, node)
if not expiry or expiry <= clock or not line or seat(line).private ~= private then
  return { 'ended' }
end
local before, name, was, after = line:match('^([^\t]*\t)([^\t]*\t)([^\t]*)(\t.*)$')
redis.call('HSET', at.roster, node, before .. name .. subcluster .. after)
redis.call('HSET', at.members, node, record)
count_subcluster(at, was, -1)
count_subcluster(at, subcluster, 1)
local view = next_view(at.state)
redis.call(PUBLISH, at.events, cjson.encode({
  event = 'moved', view = view, members = { private }, from = was, to = subcluster,
}))
return { 'moved', ms(view) }
