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
local kept = redis.call('HMGET', command, 'entry', 'view', 'waited', 'aborted', 'hidden')
if not kept[1] then
  return { 'gone' }
elseif kept[4] or clock >= tonumber(kept[3]) then
  return { 'over' }
end

local expires = clock + tonumber(command_ttl)
for node in names:gmatch('[^\n]+') do
  redis.call('HSETNX', plan, node, ms(expires))
  local channel = node_prefix .. node
  redis.call(PUBLISH, channel, message_of(command, tonumber(command_ttl), channel, kept[1], '0-0'))
end
redis.call('HSET', command, 'expires', ms(expires))
local lifetime = kept[5] and ms(2 * tonumber(command_ttl) + 1000) or results_ttl
for _, key in ipairs({ command, responses, arrived, plan }) do
  redis.call('PEXPIRE', key, lifetime)
end
extend_view(view_prefix, kept[2], results_ttl)
return { 'released', ms(expires) }
