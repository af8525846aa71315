-- Moves a node to another subcluster, as a bus file says. The node's session goes on, with everything that rests on it.
-- Only nodes that state no subcluster of their own are moved.
--
-- NEEDS  when_full clock members
-- KEYS  state sessions members roster subclusters events audit
-- ARGV  max_step  private_name  node name in small letters  subcluster  record (JSON)  audit_cap
-- Answer  {'moved', view}
--         {'ended'}  the session has ended, or the roster holds another one: join again
-- Invariant  a command to a subcluster is for the nodes that were in it in the command's view.

local at = {
  state = KEYS[1], sessions = KEYS[2], members = KEYS[3], roster = KEYS[4], subclusters = KEYS[5], events = KEYS[6],
  audit = KEYS[7], audit_cap = ARGV[6],
}
local max_step, private, node, subcluster, record = unpack(ARGV)
local clock = advance(at.state, max_step)
redis.call('XLEN', at.audit)
local expiry = tonumber(redis.call('ZSCORE', at.sessions, private) or nil)
local line = redis.call('HGET', at.roster, node)
if not expiry or expiry <= clock or not line or seat(line).private ~= private then
  return { 'ended' }
end
local before, name, was, after = line:match('^([^\t]*\t)([^\t]*\t)([^\t]*)(\t[^\t]*\t[^\t]*)')
redis.call('HSET', at.roster, node, roster_line({ before .. name .. subcluster .. after }, tags_in(record)))
redis.call('HSET', at.members, node, record)
-- In this order the hash is never empty: Redis would drop it with its lifetime.
count_subcluster(at, subcluster, 1)
count_subcluster(at, was, -1)
local view = next_view(at.state)
audit_members(at, 'moved', { private }, 'from', was, 'to', subcluster)
redis.call(PUBLISH, at.events, cjson.encode({
  event = 'moved', view = view, members = { private }, from = was, to = subcluster,
}))
return { 'moved', ms(view) }
