-- Forgets an absent node: from now on no command expects it.
--
-- NEEDS  when_full clock members
-- KEYS  state roster absent absent_since subclusters events vips changes audit vip_beliefs
-- ARGV  max_step  node name in small letters  issuer  audit_cap
-- Answer  {'forgotten'}
--         {'alive'}            the node has a session; nothing was done
--         {'named', file, …}   these bus files name the node; nothing was done. A file that no manager has read
--                              for a day does not count.
--         {'unknown'}          nobody expects the node
-- Invariant  commands that were sent before still expect the node.

local at = {
  state = KEYS[1], roster = KEYS[2], absent = KEYS[3], absent_since = KEYS[4], subclusters = KEYS[5], events = KEYS[6],
}
local vips, changes, audit = KEYS[7], KEYS[8], KEYS[9]
local max_step, node, issuer, audit_cap = unpack(ARGV)
local _, wall = advance(at.state, max_step)
if redis.call('HEXISTS', at.roster, node) == 1 then
  return { 'alive' }
end
local said = redis.call('HGET', at.subclusters, '=' .. node)
local files = { 'named' }
for source in (said or ''):gmatch('\t([^\t=]*)=') do
  local called, read = (redis.call('HGET', at.subclusters, '@' .. source) or ''):match('^(.*)\t(%d+)$')
  if called and wall - tonumber(read) < KEYS_TTL then
    files[#files + 1] = called
  end
end
if #files > 1 then
  return files
end
redis.call('HDEL', at.subclusters, '=' .. node)
if not remove_absent(at, { node })[node] then
  return { 'unknown' }
end
redis.call('HDEL', vips, '@' .. node, '~' .. node)
redis.call('ZREM', changes, '@' .. node, '~' .. node)
redis.pcall('HDEL', KEYS[10], node)
redis.call('XADD', audit, 'MAXLEN', '~', audit_cap, '*', 'what', 'forget', 'node', node, 'issuer', issuer)
end_some_day({ audit })
redis.call(PUBLISH, at.events, cjson.encode({
  event = 'forgotten', view = next_view(at.state), members = { node }, by = issuer,
}))
return { 'forgotten' }
