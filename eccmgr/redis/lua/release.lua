-- Sends a command that goes out in batches to some more of its nodes.
--
-- KEYS  state command responses arrived plan
-- ARGV  max_step  command_ttl  results_ttl  view_prefix  node_prefix  names of nodes in small letters, a line each
-- Answer  {'released', until when on the lease clock these may begin}  also where they were released before
--         {'over'}  its sender has stopped waiting, or it was withdrawn: nobody else gets it
--         {'gone'}  nobody keeps this command any more
-- Invariant  a node is in the plan once, with a time of its own from its release on; what it needs to be answered is
--            kept for results_ttl from the latest release.

local state, command, responses, arrived, plan = unpack(KEYS)
local max_step, command_ttl, results_ttl, view_prefix, node_prefix, names = unpack(ARGV)
local clock = advance(state, max_step)
local kept = redis.call('HMGET', command, 'id', 'text', 'issuer', 'view', 'entry', 'before', 'waited', 'aborted', 'hidden')
if not kept[1] then
  return { 'gone' }
elseif kept[8] or clock >= tonumber(kept[7]) then
  return { 'over' }
end

local expires = clock + tonumber(command_ttl)
local message = cjson.encode({
  id = kept[1], text = kept[2], issuer = kept[3], view = tonumber(kept[4]), ttl = tonumber(command_ttl),
  entry = kept[5], before = kept[6],
})
for node in names:gmatch('[^\n]+') do
  redis.call('HSETNX', plan, node, ms(expires))
  redis.call('PUBLISH', node_prefix .. node, message)
end
redis.call('HSET', command, 'expires', ms(expires))
local lifetime = kept[9] and ms(2 * tonumber(command_ttl) + 1000) or results_ttl
for _, key in ipairs({ command, responses, arrived, plan }) do
  redis.call('PEXPIRE', key, lifetime)
end
if redis.call('PTTL', view_prefix .. kept[4]) < tonumber(results_ttl) then
  redis.call('PEXPIRE', view_prefix .. kept[4], results_ttl)
end
return { 'released', ms(expires) }
