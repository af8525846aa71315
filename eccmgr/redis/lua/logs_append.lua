-- Adds records of a node's log to its pipe.
--
-- NEEDS  clock pipes
-- KEYS  cluster_state pipe_state pipe sessions
-- ARGV  max_step  the place at which the node's last record ended ('' for none)  the most bytes in the pipe
--       the subscribers, joined by commas  what the node says of the log
--       then for each record: begin  end  time  edges  lost  data
-- Answer  {'kept', number of records added, bytes in the pipe}
--         {'moved', the place at the end of the pipe, what the node said of the log last, the time of `logs_rewind` if
--         the place is from there (0 otherwise)}  nothing was added
-- Invariant  each record begins where the one before it ended. The pipe holds no more than its bound, or one record.

local cluster_state, state, pipe, sessions = unpack(KEYS)
local max_step, expected, most, subscribers, says = unpack(ARGV, 1, 5)

-- A pipe whose state was lost has higher ids, and begins anew: its readers ask for what is missing.
local function add(id, ...)
  local entry = redis.pcall('XADD', pipe, ms(id) .. '-1', ...)
  if type(entry) == 'table' and tostring(entry.err):find('equal or smaller', 1, true) then
    redis.call('UNLINK', pipe)
  elseif type(entry) ~= 'table' then
    return
  end
  redis.call('XADD', pipe, ms(id) .. '-1', ...)
end

local clock = advance(cluster_state, max_step)
local tail = redis.call('HGET', state, 'tail') or ''
redis.call('XLEN', pipe)
if tail ~= expected then
  return { 'moved', tail, redis.call('HGET', state, 'says') or '', ms(counted(state, 'since')) }
end
redis.call('HSET', state, 'subscribes', subscribers, 'says', says, 'tail', tail)
local taken, sent, added = trim(state, pipe, sessions, clock), counted(state, 'sent'), 0
local lost = 0
for i = 6, #ARGV, 6 do
  local size = 200 + #ARGV[i + 5]
  if sent > taken and sent - taken + size > tonumber(most) then
    break
  end
  sent = sent + size
  add(sent, 'b', ARGV[i], 'e', ARGV[i + 1], 't', ARGV[i + 2], 'f', ARGV[i + 3], 'l', ARGV[i + 4], 'd', ARGV[i + 5])
  tail, added, lost = ARGV[i + 1], added + 1, lost + tonumber(ARGV[i + 4])
end
if added > 0 then
  redis.call('HSET', state, 'tail', tail, 'sent', ms(sent))
  redis.call('HDEL', state, 'since')
  if lost > 0 then
    redis.call('HINCRBY', state, 'lost', ms(lost))
  end
end
keep_pipe(state, pipe)
return { 'kept', added, math.max(0, sent - taken) }
