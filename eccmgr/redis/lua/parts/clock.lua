-- The lease clock, with which nearly every script begins.
--
-- The lease clock counts ms. Each script advances it by the wall time since the last script, clamped to 0 .. max_step.
-- So no step of the server's wall clock and no pause of the server ends a session that is renewed.
--
-- A script names the parts that it needs in the line NEEDS of its header. scripts.py puts these parts before the
-- script, and before them all PUBLISH, the command that sends messages (SPUBLISH in a Redis Cluster). Each call pays
-- for every definition, so a script that runs for every node needs as few parts as it can.
-- Everything is local: a global in one script would outlive it.

-- The lifetime of the cluster's own keys after the last sweep, in ms.
local KEYS_TTL = 24 * 3600 * 1000

local function ms(number)
  return string.format('%.0f', number)
end

-- The whole number in `text`; nil if we cannot have written it. `tonumber` alone would take `nan` and `0x1`.
local function whole(text)
  return text and #text <= 15 and text:find('^%d+$') and tonumber(text) or nil
end

-- Advances the lease clock in the hash `state`. Answers the lease clock and the server's wall clock, both in ms.
-- If the numbering of views cannot be read, it begins anew, with numbers higher than any before.
-- With `only_reads`, a script gets its answer even from a server that takes no writes.
local function advance(state, max_step, only_reads)
  local write = only_reads and redis.pcall or redis.call
  local time = redis.call('TIME')
  local wall = time[1] * 1000 + math.floor(time[2] / 1000)
  local kept = redis.call('HMGET', state, 'clock', 'wall')
  local clock = whole(kept[1])
  if clock and tonumber(kept[2] or '') == wall then
    -- A busy server runs many scripts in one millisecond. The first of them did the work below for all of them.
    return clock, wall
  end
  local numbered = redis.call('HMGET', state, 'born', 'view')
  if not whole(numbered[1]) or (numbered[2] and not whole(numbered[2])) then
    write('HSET', state, 'born', ms(wall))
    if numbered[1] or numbered[2] then
      write('HSET', state, 'view', time[1])
    end
    write('PEXPIRE', state, KEYS_TTL)
  end
  clock = whole(kept[1]) or wall
  clock = clock + math.max(0, math.min(wall - (whole(kept[2]) or wall), tonumber(max_step)))
  write('HSET', state, 'clock', ms(clock), 'wall', ms(wall))
  return clock, wall
end

-- The longest lease, in ms: a session that ends later was not written by us.
local LONGEST_LEASE = 10000000000000

-- Whether a session has lapsed; `expiry` is the score of its end.
local function is_over(expiry, clock)
  return not expiry or expiry <= clock or expiry > clock + LONGEST_LEASE
end

-- Adds an entry to a stream. A stream whose last id is the highest possible takes no more entries, so it begins anew.
local function append(stream, ...)
  local entry = redis.pcall('XADD', stream, ...)
  if type(entry) == 'table' and tostring(entry.err):find('exhausted', 1, true) then
    redis.call('UNLINK', stream)
  elseif type(entry) ~= 'table' then
    return entry
  end
  return redis.call('XADD', stream, ...)
end

-- Gives keys their lifetime, unless they have one; called once the keys are written.
local function end_some_day(keys)
  for _, key in ipairs(keys) do
    if redis.call('PTTL', key) == -1 then
      redis.call('PEXPIRE', key, KEYS_TTL)
    end
  end
end

-- The number of the current view, and when the numbering of views began.
local function view_now(state)
  local kept = redis.call('HMGET', state, 'view', 'born')
  return kept[1] or '0', kept[2] or '0'
end
