-- Sessions, the roster of live nodes, and the views that are kept of it. `at` holds the keys by name.

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

-- How many times as long as configured leases are, and heartbeats apart, for a session that sends `rate` of them a
-- second: so that all sessions together send no more than `most`. 1 for one that is steady, whose rate is 0.
local function stretch_of(sessions, rate, most)
  if tonumber(rate) == 0 then
    return 1
  end
  return string.format('%.3f', math.max(1, redis.call('ZCARD', sessions) * rate / most))
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
