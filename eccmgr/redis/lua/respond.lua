-- A node's answer to a command, kept; the gather that waits for it is told once there are as many as it wants to hear of.
--
-- NEEDS  clock responses
-- KEYS  state command responses arrived roster plan
-- ARGV  max_step  private_name  node name in small letters  view in which the session joined
--       state (ok | failed | refused | missed | aborted | lost; running: it has become a job, which says how far it
--       is)  ms that it ran  flags  body  view_prefix  results_ttl  1 where it was claimed
-- Answer  'kept'        (also where this very answer was kept before)
--         'gone'        nobody keeps this command any more
--         'superseded'  another life of this node holds the entry, or it never was this one's
--         'aborted'     an unclaimed command that was withdrawn
--         'expired'     an unclaimed command whose time is over
-- An answer with the flag w stands in for one that the server has no memory for yet: that one takes its place, uncounted.
--
-- Invariant  the command counts the nodes that have answered, each once;
--            an entry is written by the session that claimed it, or, unclaimed, by one that was expected.

local state, command, responses, arrived, roster, plan = unpack(KEYS)
local max_step, private, node, joined, verdict, took, flags, body, view_prefix, results_ttl, claimed = unpack(ARGV)
if #body <= 512 then
  -- A server whose memory is full takes a short answer, as when_full.lua says: its command's keys soon end by themselves.
  redis.call('HDEL', state, '')
end
local clock = advance(state, max_step)
local kept = redis.call('HMGET', command, 'view', 'expires', 'tell_at', 'planned', 'aborted', 'begun')
if not whole(kept[1]) then
  return 'gone'
end

-- A process that was stopped may wake in an earlier life of its node, and hear what was sent to a later one.
local function expected(expires)
  if not whole(expires) or tonumber(joined) > tonumber(kept[1]) then
    return false
  end
  local holder = private .. '\t'
  local line = redis.call('HGET', roster, node)
  if not line or line:find(holder, 1, true) ~= 1 then
    line = redis.pcall('HGET', view_prefix .. kept[1], node)
  end
  return type(line) == 'string' and line:find(holder, 1, true) == 1
end

-- Why an answer that nobody claimed is not taken; nil where it is.
local function refusal()
  local expires = kept[2]
  if kept[4] then
    expires = redis.call('HGET', plan, node)
  end
  if not expected(expires) then
    return 'superseded'
  elseif kept[5] and verdict ~= 'aborted' then
    return 'aborted'
  end
  return clock >= tonumber(expires) and 'expired' or nil
end

local entry = verdict .. '\t' .. private .. '\t' .. ms(clock) .. '\t' .. took .. '\t' .. flags .. '\n' .. body
local refused, stood_in = claimed ~= '1' and refusal(), false
if claimed == '1' or refused or redis.call('HSETNX', responses, node, entry) == 0 then
  local before = redis.call('HGET', responses, node)
  local was, holder = (before or ''):match('^([^\t]*)\t([^\t]*)\t')
  if holder then
    if holder ~= private then
      return 'superseded'
    elseif was ~= 'running' then
      stood_in = before:find('^[^\n]*\tw\n') ~= nil
      if not stood_in then
        return 'kept'
      end
    end
  else
    -- Redis may have forgotten a claim, or somebody may have written over it.
    refused = refused or refusal()
    if refused then
      return refused
    end
  end
  redis.call('HSET', responses, node, entry)
end
if stood_in then
  return 'kept'
end
if not kept[6] then
  begin(command, responses)
end
if verdict == 'running' then
  -- A job may last longer than results are kept.
  redis.call('HSET', command, 'job', ms(clock))
  local view = view_prefix .. kept[1]
  for _, key in ipairs({ command, responses, arrived, plan, view, view .. ':absent' }) do
    if redis.call('PTTL', key) > 0 then
      redis.call('PEXPIRE', key, results_ttl, 'GT')
    end
  end
  return 'kept'
end
-- Whoever has answered is counted; anew where what is kept is no number.
local function count(by)
  if type(redis.pcall('HINCRBY', command, 'answered', by)) == 'table' then
    redis.call('HSET', command, 'answered', by)
  end
end

local counted = verdict == 'ok' or verdict == 'failed' or verdict == 'refused'
if kept[3] then
  local arrivals = redis.call('RPUSH', arrived, node)
  if arrivals == 1 then
    redis.call('PEXPIRE', arrived, math.max(1, redis.call('PTTL', command)))
  end
  if not counted then
    count(-1)
  end
  if arrivals == whole(kept[3]) then
    local told = redis.call('HMGET', command, 'notices', 'id')
    -- Whatever the command gives for its channel: who waits for it looks by itself, too.
    redis.pcall(PUBLISH, told[1] or '', told[2] or '')
  end
elseif counted then
  count(1)
end
return 'kept'
