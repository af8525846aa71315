-- Sends a command that goes out in batches to some more of its nodes.
--
-- NEEDS  when_full clock members commands
-- KEYS  state command responses arrived plan log heads
-- ARGV  max_step  command_ttl  results_ttl  view_prefix  node_prefix  names of nodes in small letters, a line each
--       channel of the target
-- Answer  {'released', until when on the lease clock these may begin}  also where they were released before
--         {'over'}  its sender has stopped waiting, or it was withdrawn: nobody else gets it
--         {'gone'}  nobody keeps this command any more
-- Invariant  a node is in the plan once, with a time of its own from its release on; what it needs to be answered is
--            kept for results_ttl from the latest release. The log has one entry for all its releases, the latest:
--            whoever reads it up looks into the plan.

local state, command, responses, arrived, plan, log, heads = unpack(KEYS)
local max_step, command_ttl, results_ttl, view_prefix, node_prefix, names, channel = unpack(ARGV)
local clock = advance(state, max_step)
local kept = redis.call('HMGET', command, 'id', 'view', 'waited', 'aborted', 'hidden', 'released', 'digest')
if not kept[1] then
  return { 'gone' }
elseif kept[4] or clock >= (whole(kept[3]) or 0) then
  return { 'over' }
end

local expires = clock + tonumber(command_ttl)
redis.call('HLEN', plan)
redis.call('HLEN', heads)
local entry = append_to_log(state, log, kept[1], kept[7], clock, channel, 'released')
if kept[6] then
  -- It may be no id of an entry.
  redis.pcall('XDEL', log, kept[6])
end
redis.call('HSET', command, 'expires', ms(expires), 'released', entry)
for node in names:gmatch('[^\n]+') do
  redis.call('HSETNX', plan, node, ms(expires))
  tell(heads, command, tonumber(command_ttl), node_prefix .. node, entry)
end
end_some_day({ log, heads })
local lifetime = kept[5] and ms(2 * tonumber(command_ttl) + 1000) or results_ttl
for _, key in ipairs({ command, responses, arrived, plan }) do
  redis.call('PEXPIRE', key, lifetime)
end
extend_view(view_prefix, kept[2], results_ttl)
return { 'released', ms(expires) }
