-- What is known of one command, and of its responses where they are not too many; else they are read by pages (page.lua).
--
-- NEEDS  clock members commands
-- KEYS  state latest roster absent
-- ARGV  max_step  an id to try first ('' for none)  digest of the text  command_prefix  view_prefix
--       ttl of a kept view in ms  the view that the caller has, BORN:NUMBER ('' for none)
--       how many entries are not too many
-- Answer  {clock, {field, value, …} of the command, {node, entry, …}, current view, when the numbering of views began,
--          {node, until when it may begin, …} where it goes out in batches}; instead of entries, or of a plan, that
--         are too many: the name of the key that holds them
--         {} where there is no such command
-- Invariant  after this call the current view is kept, where the caller does not have it.

local at = { state = KEYS[1], roster = KEYS[3], absent = KEYS[4] }
local max_step, id, digest, command_prefix, view_prefix, ttl, known, limit = unpack(ARGV)
local clock = advance(at.state, max_step, true)

local function kept(candidate)
  if not candidate or candidate == '' then
    return false
  end
  local key = keys_of_command(command_prefix, candidate)
  return read_of(0, 'HEXISTS', key, 'hidden') == 0 and redis.call('EXISTS', key) == 1
end

local function entries(key)
  return read_of(0, 'HLEN', key) > tonumber(limit) and key or redis.call('HGETALL', key)
end

if not kept(id) then
  id = redis.call('HGET', KEYS[2], digest)
  if not kept(id) then
    return {}
  end
end
local key, responses, _, plan = keys_of_command(command_prefix, id)
local view, born = view_now(at.state)
if known ~= born .. ':' .. view then
  keep_view(at, view, born, view_prefix, ttl)
end
return { ms(clock), redis.call('HGETALL', key), entries(responses), view, born,
  redis.call('HEXISTS', key, 'rolling') == 1 and entries(plan) or {} }
