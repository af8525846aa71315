-- All that is known of one command's responses, in one round trip.
--
-- KEYS  state latest roster absent
-- ARGV  max_step  an id to try first ('' for none)  digest of the text  command_prefix  view_prefix
--       ttl of a kept roster in ms  views that the caller has
-- Answer  {clock, {field, value, …} of the command, {node, entry, …}, current view, its roster or '',
--          roster of the command's view or '', {node, until when it may begin, …} where it goes out in batches};
--         a roster is '' where the caller has it
--         {} where there is no such command

local at = { state = KEYS[1], roster = KEYS[3], absent = KEYS[4] }
local max_step, id, digest, command_prefix, view_prefix, ttl, known = unpack(ARGV)
local clock = advance(at.state, max_step)

local function kept(candidate)
  if not candidate or candidate == '' then
    return false
  end
  local key = keys_of_command(command_prefix, candidate)
  return redis.call('EXISTS', key) == 1 and redis.call('HEXISTS', key, 'hidden') == 0
end

if not kept(id) then
  id = redis.call('HGET', KEYS[2], digest)
  if not kept(id) then
    return {}
  end
end
local key, responses, _, plan = keys_of_command(command_prefix, id)
local command = redis.call('HGETALL', key)
local then_view = tonumber(redis.call('HGET', key, 'view'))
local view = current_view(at.state)
local now_roster, then_roster = '', ''
if not holds(known, at.state, view) then
  now_roster = roster_of(at, view, view_prefix, ttl)
end
if then_view ~= view and not holds(known, at.state, then_view) then
  then_roster = redis.call('GET', view_prefix .. ms(then_view)) or ''
end
return { ms(clock), command, redis.call('HGETALL', responses), ms(view), now_roster, then_roster,
  redis.call('HEXISTS', key, 'rolling') == 1 and redis.call('HGETALL', plan) or {} }
