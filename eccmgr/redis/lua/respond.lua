-- Keeps a node's answer to a command. A waiting gather is notified once the number of answers that it asked for has
-- come.
--
-- NEEDS  clock responses
-- KEYS  state command responses arrived roster plan
-- ARGV  max_step  private_name  node name in small letters  view in which the session joined
--       state (ok | failed | refused | missed | aborted | lost; running: the command became a job, whose progress is
--       the body)  ms that it ran  flags  body  view_prefix  results_ttl  1 if the node claimed the command
-- Answer  'kept'        (also if this very answer was kept before)
--         'gone'        Redis no longer keeps this command
--         'superseded'  another life of this node holds the entry, or the command did not expect this session
--         'aborted'     the command was withdrawn, and the node had not claimed it
--         'expired'     the command expired, and the node had not claimed it
-- The flag w marks an answer that stands in for one for which the server has no memory yet. The full answer replaces it
-- later, and is not counted again.
--
-- Invariant  the command counts each node that has answered once. An entry is written by the session that claimed the
--            command, or, if nobody claimed it, by a session that the command expects.

local state, command, responses, arrived, roster, plan = unpack(KEYS)
local max_step, private, node, joined, verdict, took, flags, body, view_prefix, results_ttl, claimed = unpack(ARGV)
if #body <= 512 then
  -- A server whose memory is full takes a short answer (see when_full.lua), because the command's keys soon expire.
  redis.call('HDEL', state, '')
end
local clock = advance(state, max_step)
local kept = redis.call('HMGET', command, 'view', 'expires', 'tell_at', 'planned', 'aborted', 'begun')
if not whole(kept[1]) then
  return 'gone'
end

-- Whether the command expects this session. A process that was stopped may go on after its node has begun another
-- session, and then hears commands that are meant for that one.
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

-- The reason why an unclaimed answer is not kept; nil if it is kept.
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
      stood_in = before:find('^[^\n]*\tw%l*\n') ~= nil
      if not stood_in then
        return 'kept'
      end
    end
  else
    -- Redis may have forgotten the claim, or somebody may have overwritten it.
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
-- Counts the nodes that have answered; begins anew if the kept number cannot be read.
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
    -- The channel's name was read from Redis and may be anything, so an error here must not end the script. A gather
    -- that is not notified looks by itself.
    redis.pcall(PUBLISH, told[1] or '', told[2] or '')
  end
elseif counted then
  count(1)
end
return 'kept'
