-- Stands before every script: the lease clock, and what several scripts do.
--
-- The lease clock is counted in ms. Each script advances it by the wall time since the last script, clamped to
-- 0 .. max_step: no step of the server's wall clock, and no pause of the server, ends a session that is renewed.
--
-- PUBLISH, which scripts.py sets before this, is how messages are sent: SPUBLISH in a Redis Cluster.
-- Everything is local: a global in one script would outlive it.

-- The cluster's own keys end by themselves, in ms, once nobody sweeps any more.
local KEYS_TTL = 24 * 3600 * 1000

local function ms(number)
  return string.format('%.0f', number)
end

-- Advances the lease clock kept in the hash `state`; answers it and the server's wall clock, both in ms.
local function advance(state, max_step)
  local time = redis.call('TIME')
  local wall = time[1] * 1000 + math.floor(time[2] / 1000)
  local kept = redis.call('HMGET', state, 'clock', 'wall')
  if not kept[1] then
    redis.call('HSETNX', state, 'born', ms(wall))
    redis.call('PEXPIRE', state, KEYS_TTL)
  end
  local clock = tonumber(kept[1]) or wall
  local step = wall - (tonumber(kept[2]) or wall)
  clock = clock + math.max(0, math.min(step, tonumber(max_step)))
  -- In one millisecond a busy server runs many scripts.
  if step ~= 0 or not kept[2] then
    redis.call('HSET', state, 'clock', ms(clock), 'wall', ms(wall))
  end
  return clock, wall
end

-- The number of the next view. A server that was put back to an earlier state comes again to numbers that it has given
-- before, perhaps to other nodes: in each life of a server the numbering begins anew for those who keep views.
local function next_view(state)
  local info = redis.pcall('INFO', 'server')
  local run = type(info) == 'string' and info:match('run_id:(%w+)') or ''
  local kept = redis.call('HMGET', state, 'run', 'born', 'wall')
  if kept[1] ~= run then
    local born = kept[1] and math.max(tonumber(kept[3]), tonumber(kept[2]) + 1) or tonumber(kept[2])
    redis.call('HSET', state, 'run', run, 'born', ms(born))
  end
  return redis.call('HINCRBY', state, 'view', 1)
end

-- Gives keys that have just been written their lifetime.
local function end_some_day(keys)
  for _, key in ipairs(keys) do
    if redis.call('PTTL', key) == -1 then
      redis.call('PEXPIRE', key, KEYS_TTL)
    end
  end
end

-- What a roster's line holds.
local function seat(line)
  local private, node, subcluster, joined = line:match('^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t')
  return { private = private, node = node, subcluster = subcluster, joined = tonumber(joined) }
end

local function count_subcluster(subclusters, name, by)
  name = name:lower()
  if redis.call('HINCRBY', subclusters, name, by) <= 0 then
    redis.call('HDEL', subclusters, name)
  end
end

-- Ends sessions, as `reason` (leave, replaced, lost) says, with one step of the view and one event for all.
-- `at` holds the keys that membership is kept in, by name. What it costs is a few calls, however many sessions end.
local function end_sessions(at, privates, reason, clock)
  if #privates == 0 then
    return
  end
  redis.call('ZREM', at.sessions, unpack(privates))
  redis.call('ZREM', at.seniority, unpack(privates))
  local named = {}
  for i, private in ipairs(privates) do
    named[i] = (private:match('^#[^#]*#(.*)$') or ''):lower()
  end
  local lines = redis.call('HMGET', at.roster, unpack(named))
  local seats, records, absent, since, lost_from = {}, {}, {}, {}, {}
  for i, private in ipairs(privates) do
    local line = lines[i]
    if line and seat(line).private == private then
      seats[#seats + 1] = named[i]
      records[i] = named[i]
      absent[#absent + 1], absent[#absent + 2] = named[i], line
      since[#since + 1], since[#since + 2] = ms(clock), named[i]
      local subcluster = seat(line).subcluster
      lost_from[subcluster] = (lost_from[subcluster] or 0) + 1
    else
      records[i] = private
    end
  end
  redis.call('HDEL', at.members, unpack(records))
  if #seats > 0 then
    redis.call('HDEL', at.roster, unpack(seats))
    for subcluster, number in pairs(lost_from) do
      count_subcluster(at.subclusters, subcluster, -number)
    end
    if reason == 'lost' then
      redis.call('HSET', at.absent, unpack(absent))
      redis.call('ZADD', at.absent_since, unpack(since))
      end_some_day({ at.absent, at.absent_since })
    end
  end
  local view = next_view(at.state)
  redis.call(PUBLISH, at.events, cjson.encode({ event = reason, view = view, members = privates }))
end

-- Ends, as lost, up to `limit` sessions whose time is over on the lease clock.
local function end_lapsed(at, clock, limit)
  local lapsed = redis.call('ZRANGEBYSCORE', at.sessions, '-inf', ms(clock), 'LIMIT', 0, limit)
  end_sessions(at, lapsed, 'lost', clock)
end

-- The number of the current view, and when the numbering of views began.
local function view_now(state)
  local kept = redis.call('HMGET', state, 'view', 'born')
  return kept[1] or '0', kept[2]
end

-- Sees to it that a kept view is not forgotten within the next `ttl` ms; false where nobody keeps it.
local function extend_view(prefix, view, ttl)
  local key = prefix .. view
  local left = redis.call('PTTL', key)
  if left >= 0 and left < tonumber(ttl) then
    redis.call('PEXPIRE', key, ttl)
    redis.call('PEXPIRE', key .. ':absent', ttl)
  end
  return left ~= -2
end

-- Keeps the nodes of the current view under its number for `ttl` ms, so that all who ask what it held share it: the
-- roster, with one field '' more that says when its numbering began, and beside it those that are absent. The copy
-- is made by the server itself; to read thousands of lines in Lua would hold it several times as long.
local function keep_view(at, view, born, prefix, ttl)
  if extend_view(prefix, view, ttl) then
    return
  end
  local key = prefix .. view
  redis.call('COPY', at.roster, key)
  redis.call('HSET', key, '', born)
  redis.call('PEXPIRE', key, ttl)
  if redis.call('COPY', at.absent, key .. ':absent') == 1 then
    redis.call('PEXPIRE', key .. ':absent', ttl)
  end
end

-- The keys of one command, as keys.py names them.
local function keys_of_command(prefix, id)
  local key = prefix .. id
  return key, key .. ':resp', key .. ':arrived', key .. ':plan'
end

-- Lets `nodes` begin a command until `expires`.
local function add_to_plan(plan, nodes, expires)
  local fields = {}
  for i, node in ipairs(nodes) do
    fields[#fields + 1], fields[#fields + 2] = node, expires
    if #fields == 2000 or i == #nodes then
      redis.call('HSET', plan, unpack(fields))
      fields = {}
    end
  end
end

-- What is published to the nodes of a channel; `ttl` is how long it may still wait, in ms.
local function message_of(command, ttl, channel, entry, before)
  local kept = redis.call('HMGET', command, 'id', 'text', 'issuer', 'view', 'planned', 'rolling')
  return cjson.encode({
    id = kept[1], text = kept[2], issuer = kept[3], view = tonumber(kept[4]), ttl = ttl,
    channel = channel, entry = entry, before = before, planned = kept[5] and not kept[6] or false,
  })
end

-- Forgets commands from the old end of the log: those issued before `since` on the lease clock, and those over the
-- cap; at most `limit` of them. A channel whose latest entry is forgotten begins anew.
local function forget(log, latest, heads, prefix, since, cap, limit)
  local over = redis.call('XLEN', log) - cap
  for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', limit)) do
    local id, digest, issued, channel = entry[2][2], entry[2][4], tonumber(entry[2][6]), entry[2][8]
    if issued >= since and over <= 0 then
      return
    end
    over = over - 1
    if redis.call('HGET', latest, digest) == id then
      redis.call('HDEL', latest, digest)
    end
    if redis.call('HGET', heads, channel) == entry[1] then
      redis.call('HDEL', heads, channel)
    end
    redis.call('UNLINK', keys_of_command(prefix, id))
    redis.call('XDEL', log, entry[1])
  end
end
