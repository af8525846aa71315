-- Releases a command that goes out in batches to its next nodes.
--
-- NEEDS  when_full clock members commands
-- KEYS  state command responses arrived plan releases log heads
-- ARGV  max_step  command_ttl  results_ttl  view_prefix  node_prefix  names of nodes in small letters, a line each
--       channel of the target  the signed statement of the release, and its signature ('' if it is not signed)
--       driver  ms for which it drives without a further look
-- Answer  {'released', the time on the lease clock until which these nodes may begin}  (also if they were
--                      released before)
--         {'over'}  the sender has stopped waiting, or the command was withdrawn: no further node gets it
--         {'driven'}  somebody else drives the command now
--         {'gone'}  Redis no longer keeps this command
-- Invariant  only the driver of a command releases it. A node enters the plan once, with its release, and then has an
--            expiry of its own. The command's keys are kept for results_ttl from the latest release. The log has one
--            entry for all releases of a command, the latest: a node that reads it looks into the plan.

local state, command, responses, arrived, plan, releases, log, heads = unpack(KEYS)
local max_step, command_ttl, results_ttl, view_prefix, node_prefix, names, channel, env, sig, driver,
  driven = unpack(ARGV)
local clock = advance(state, max_step)
local kept = redis.call('HMGET', command, 'id', 'view', 'waited', 'aborted', 'hidden', 'released', 'digest', 'driver')
if not kept[1] then
  return { 'gone' }
elseif kept[4] or clock >= (whole(kept[3]) or 0) then
  return { 'over' }
elseif (kept[8] or driver) ~= driver then
  return { 'driven' }
end

local expires = clock + tonumber(command_ttl)
redis.call('HLEN', plan)
redis.call('HLEN', heads)
redis.call('HLEN', releases)
local entry = append_to_log(state, log, kept[1], kept[7], clock, channel, 'released')
if kept[6] then
  -- A field read from Redis may be anything, so it may not be the id of an entry.
  redis.pcall('XDEL', log, kept[6])
end
redis.call('HSET', command, 'expires', ms(expires), 'released', entry, 'driven', ms(clock + driven))
local nodes = {}
for node in names:gmatch('[^\n]+') do
  nodes[#nodes + 1] = node
end
local release = env ~= '' and keep_release(releases, nodes, env, sig) or nil
for _, node in ipairs(nodes) do
  redis.call('HSETNX', plan, node, ms(expires))
  tell(heads, command, tonumber(command_ttl), node_prefix .. node, entry, release)
end
end_some_day({ log, heads })
local lifetime = kept[5] and ms(2 * tonumber(command_ttl) + 1000) or results_ttl
for _, key in ipairs({ command, responses, arrived, plan, releases }) do
  redis.call('PEXPIRE', key, lifetime)
end
extend_view(view_prefix, kept[2], results_ttl)
return { 'released', ms(expires) }
