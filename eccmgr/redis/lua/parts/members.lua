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

-- How many nodes of a subcluster there are, kept from now on. `field` is the subcluster's name in small letters, which
-- stands for its live nodes, or `-` and that name, which stands for its absent ones.
local function recount_subcluster(at, field)
  local size, name = 0, field:gsub('^%-', '')
  for _, line in ipairs(redis.call('HVALS', name == field and at.roster or at.absent)) do
    if seat(line).subcluster:lower() == name then
      size = size + 1
    end
  end
  redis.call('HSET', at.subclusters, field, size)
  return size
end

-- How many nodes a subcluster has; counted anew where what is kept is no number.
local function size_of_subcluster(at, field)
  local kept = redis.call('HGET', at.subclusters, field:lower())
  return kept and (whole(kept) or recount_subcluster(at, field:lower())) or 0
end

-- Called once the roster, or the absent nodes, hold the change.
local function count_subcluster(at, field, by)
  field = field:lower()
  local kept = redis.call('HGET', at.subclusters, field)
  local size = kept and not whole(kept) and recount_subcluster(at, field) or redis.call('HINCRBY', at.subclusters, field, by)
  if size <= 0 then
    redis.call('HDEL', at.subclusters, field)
  end
end

-- Counts the subclusters of nodes, given their lines: `mark` is `-` where they are absent ones.
local function count_lines(at, mark, lines, by)
  local numbers = {}
  for _, line in pairs(lines) do
    local field = mark .. seat(line).subcluster
    numbers[field] = (numbers[field] or 0) + by
  end
  for field, number in pairs(numbers) do
    count_subcluster(at, field, number)
  end
end

-- Has nodes expected that are not there. `lines` holds the line of each, by node: as a roster's, and a field more, since
-- when it is absent on the wall clock in ms ('' for one that never came, which has no private name either).
local function add_absent(at, lines)
  local fields = {}
  for node, line in pairs(lines) do
    fields[#fields + 1], fields[#fields + 2] = node, line
  end
  redis.call('HSET', at.absent, unpack(fields))
  count_lines(at, '-', lines, 1)
  end_some_day({ at.absent, at.subclusters })
end

-- Takes nodes out of those that are absent; the lines of those that were, by node.
local function remove_absent(at, nodes)
  local removed = {}
  for i, line in ipairs(redis.call('HMGET', at.absent, unpack(nodes))) do
    if line then
      removed[nodes[i]] = line
    end
  end
  if next(removed) then
    redis.call('HDEL', at.absent, unpack(nodes))
    redis.call('ZREM', at.absent_since, unpack(nodes))
    count_lines(at, '-', removed, -1)
  end
  return removed
end

-- Since when a node is absent, as its line says: the wall clock in ms, '' for one that never came.
local function absent_since(line)
  return line:match('\t(%d*)$') or ''
end

-- The subcluster that a node has by its bus file, given what these say of it: its name, then SOURCE=SUBCLUSTER,… of
-- each, the latest first. Nothing where none gives it any.
local function given_subcluster(said)
  return said:match('\t[^\t=]*=([^\t,]+)')
end

-- Keeps as absent the nodes whose sessions have ended, given their lines by node: all of them where they were lost, else
-- those that a bus file names. Only what was lost is forgotten after its time.
local function expect_again(at, lines, lost, clock)
  local wall, absent, since = redis.call('HGET', at.state, 'wall'), {}, {}
  for node, line in pairs(lines) do
    if lost or redis.call('HEXISTS', at.subclusters, '=' .. node) == 1 then
      absent[node] = line .. '\t' .. wall
      since[#since + 1], since[#since + 2] = ms(clock), node
    end
  end
  if next(absent) then
    add_absent(at, absent)
  end
  if lost then
    redis.call('ZADD', at.absent_since, unpack(since))
    end_some_day({ at.absent_since })
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
  local seats, records, gone = {}, {}, {}
  for i, private in ipairs(privates) do
    local line = lines[i]
    if line and seat(line).private == private then
      seats[#seats + 1] = named[i]
      records[i] = named[i]
      gone[named[i]] = line
    else
      records[i] = private
    end
  end
  redis.call('HDEL', at.members, unpack(records))
  if #seats > 0 then
    redis.call('HDEL', at.roster, unpack(seats))
    count_lines(at, '', gone, -1)
    expect_again(at, gone, reason == 'lost', clock)
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
