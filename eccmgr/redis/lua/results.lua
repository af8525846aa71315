-- Reads a command and its responses. If the responses are too many for one answer, the caller reads them page by page
-- (page.lua).
--
-- NEEDS  clock members commands
-- KEYS  state latest roster absent
-- ARGV  max_step  an id to try first ('' for none)  digest of the text  command_prefix  view_prefix
--       ttl of a kept view in ms  the view that the caller has, BORN:NUMBER ('' for none)
--       maximum number of entries in one answer
-- Answer  {clock, {field, value, …} of the command, {node, entry, …}, current view, when the numbering of views began,
--          the plan of a command in batches {node, until when it may begin, …}, else {}}
--             If the entries or the plan are too many, the name of their key stands in their place.
--         {} if there is no such command
-- Invariant  after this call the current view is kept, unless the caller has it.

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
