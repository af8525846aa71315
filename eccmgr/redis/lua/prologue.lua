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

-- The whole number that `text` is; nil where it is none that we wrote: `tonumber` would take `nan` and `0x1`.
local function whole(text)
  return text and #text <= 15 and text:find('^%d+$') and tonumber(text) or nil
end

-- Advances the lease clock kept in the hash `state`; answers it and the server's wall clock, both in ms. Where the
-- numbering of views cannot be read it begins anew, with numbers higher than any before.
local function advance(state, max_step)
  local time = redis.call('TIME')
  local wall = time[1] * 1000 + math.floor(time[2] / 1000)
  local kept = redis.call('HMGET', state, 'clock', 'wall', 'born', 'view')
  if not whole(kept[3]) or (kept[4] and not whole(kept[4])) then
    redis.call('HSET', state, 'born', ms(wall))
    if kept[3] or kept[4] then
      redis.call('HSET', state, 'view', time[1])
    end
    redis.call('PEXPIRE', state, KEYS_TTL)
  end
  local clock = whole(kept[1]) or wall
  local step = wall - (whole(kept[2]) or wall)
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

-- What a roster's line holds; nothing where it is none.
local function seat(line)
  local private, subcluster, joined = line:match('^([^\t]*)\t[^\t]*\t([^\t]*)\t([^\t]*)\t')
  return { private = private or '', subcluster = subcluster or '', joined = whole(joined) }
end

-- Whether a session is where others look for it: a node in the roster, or nobody would expect it; a node or manager in
-- the ranking, or it would never lead. Where the numbering of views went back behind a node's join, and what is sent
-- now would not be for it, that is put right.
local function has_place(at, private, wall)
  local node = private:match('^#ec0%-[^#]*#(.*)$')
  if node then
    local line = seat(redis.call('HGET', at.roster, node:lower()) or '')
    if line.private ~= private or not line.joined then
      return false
    elseif line.joined > tonumber(redis.call('HGET', at.state, 'view') or 0) then
      local born = math.max(wall, redis.call('HGET', at.state, 'born') + 1)
      redis.call('HSET', at.state, 'born', ms(born), 'view', ms(line.joined))
    end
  end
  return not (node or private:find('^#mgr%-')) or redis.call('ZSCORE', at.seniority, private) ~= false
end

-- How many live nodes the roster holds of a subcluster, kept from now on.
local function recount_subcluster(at, name)
  local size = 0
  for _, line in ipairs(redis.call('HVALS', at.roster)) do
    if seat(line).subcluster:lower() == name then
      size = size + 1
    end
  end
  redis.call('HSET', at.subclusters, name, size)
  return size
end

-- How many live nodes a subcluster has; counted anew where what is kept is no number.
local function size_of_subcluster(at, name)
  local kept = redis.call('HGET', at.subclusters, name:lower())
  return kept and (whole(kept) or recount_subcluster(at, name:lower())) or 0
end

-- Called once the roster holds the change.
local function count_subcluster(at, name, by)
  name = name:lower()
  local kept = redis.call('HGET', at.subclusters, name)
  local size = kept and not whole(kept) and recount_subcluster(at, name) or redis.call('HINCRBY', at.subclusters, name, by)
  if size <= 0 then
    redis.call('HDEL', at.subclusters, name)
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
      count_subcluster(at, subcluster, -number)
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
  local key = prefix .. view
  if redis.pcall('HGET', key, '') == born and extend_view(prefix, view, ttl) then
    return
  end
  redis.call('DEL', key, key .. ':absent')
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
    id = kept[1], text = kept[2], issuer = kept[3], view = whole(kept[4]), ttl = ttl,
    channel = channel, entry = entry, before = before, planned = kept[5] and not kept[6] or false,
  })
end

-- Tells the nodes of a channel of a command, and that `entry` is now the latest that concerns them.
local function tell(heads, command, ttl, channel, entry)
  local before = redis.call('HGET', heads, channel) or '0-0'
  redis.call('HSET', heads, channel, entry)
  redis.call(PUBLISH, channel, message_of(command, ttl, channel, entry, before))
end

-- What is published of a command that was withdrawn; nodes know it by how it begins.
local function withdrawal_of(id, channel, entry, before)
  return string.format('{"abort":%s,"channel":%s,"entry":%s,"before":%s}', cjson.encode(id), cjson.encode(channel),
    cjson.encode(entry), cjson.encode(before))
end

-- Writes into the log what became of a command after it was sent: a node that did not hear of it reads it up. Unlike
-- a command's own entry it has a fifth field.
local function append_to_log(state, log, id, digest, clock, channel, what)
  local entry = redis.call('XADD', log, '*', 'id', id, 'digest', digest, 'issued', ms(clock), 'channel', channel,
    'what', what)
  redis.call('HSET', state, 'last', entry)
  return entry
end

-- Forgets commands from the old end of the log: those issued before `since` on the lease clock, and those over the
-- cap; at most `limit` of them. A channel whose latest entry is forgotten begins anew. One that has been released to
-- more nodes since is kept until that entry is forgotten.
local function forget(log, latest, heads, prefix, since, cap, limit)
  local over = redis.call('XLEN', log) - cap
  for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', limit)) do
    local id, digest, issued, channel = entry[2][2], entry[2][4] or '', whole(entry[2][6]) or 0, entry[2][8] or ''
    if issued >= since and over <= 0 then
      return
    end
    over = over - 1
    local released = redis.call('HGET', prefix .. id, 'released')
    if not released or released == entry[1] then
      if redis.call('HGET', latest, digest) == id then
        redis.call('HDEL', latest, digest)
      end
      redis.call('UNLINK', keys_of_command(prefix, id))
    end
    if redis.call('HGET', heads, channel) == entry[1] then
      redis.call('HDEL', heads, channel)
    end
    redis.call('XDEL', log, entry[1])
  end
end
