-- A node claims a command before it runs it.
--
-- NEEDS  clock responses
-- KEYS  state sessions command responses plan
-- ARGV  max_step  private_name  node name in small letters  view in which the session joined
--       1 if an earlier call for this claim may have reached Redis, and only its answer was lost
-- Answer  {'claimed', ms until the command expires}
--         {'ended'}          the session is over: join again first
--         {'gone'}           Redis no longer keeps this command
--         {'not addressed'}  it was sent before this session joined, or not to this node
--         {'aborted'}        it was withdrawn
--         {'expired'}        its command_ttl is over
--         {'taken'}          it was claimed or answered already
-- Invariant  a node claims a command once, only with a live session, and only before the command expires or is
--            withdrawn.

local state, sessions, command, responses, plan = unpack(KEYS)
local max_step, private, node, joined, again = unpack(ARGV)
local clock = advance(state, max_step)
if is_over(tonumber(redis.call('ZSCORE', sessions, private) or ''), clock) then
  return { 'ended' }
end
local kept = redis.call('HMGET', command, 'view', 'expires', 'planned', 'aborted', 'begun')
if not whole(kept[1]) then
  return { 'gone' }
elseif tonumber(joined) > tonumber(kept[1]) then
  return { 'not addressed' }
end
local expires = kept[2]
if kept[3] then
  expires = redis.call('HGET', plan, node)
end
if not expires then
  return { 'not addressed' }
elseif not whole(expires) then
  return { 'gone' }
elseif kept[4] then
  return { 'aborted' }
elseif clock >= tonumber(expires) then
  return { 'expired' }
end
local entry = table.concat({ 'running', private, ms(clock), '0', '' }, '\t') .. '\n'
if redis.call('HSETNX', responses, node, entry) == 0 then
  local held = again == '1' and redis.call('HGET', responses, node) or ''
  if held:find('running\t' .. private .. '\t', 1, true) ~= 1 then
    return { 'taken' }
  end
elseif not kept[5] then
  begin(command, responses)
end
return { 'claimed', ms(tonumber(expires) - clock) }
