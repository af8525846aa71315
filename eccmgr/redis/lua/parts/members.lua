-- Sessions, the roster of live nodes, and the kept views of the roster. `at` holds the keys by name.

-- The number of the next view. A server that was put back to an earlier state gives numbers a second time, perhaps for
-- other nodes. So the time at which the numbering began changes with each life of the server, and a reader that keeps
-- views compares it too.
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

-- The stretch: the factor on the configured lease and heartbeat interval of a session that sends `rate` heartbeats a
-- second. With it, all sessions together send at most `most` heartbeats a second. A steady session has rate 0 and
-- stretch 1.
local function stretch_of(sessions, rate, most)
  if tonumber(rate) == 0 then
    return 1
  end
  return string.format('%.3f', math.max(1, redis.call('ZCARD', sessions) * rate / most))
end

-- The fields of a roster's line. If the line cannot be read, `private` is '' and `joined` is nil.
local function seat(line)
  local private, subcluster, joined = line:match('^([^\t]*)\t[^\t]*\t([^\t]*)\t([^\t]*)\t')
  return { private = private or '', subcluster = subcluster or '', joined = whole(joined) }
end

-- The tags in a node's record (JSON), as a line of the roster has them; '' for none.
local function tags_in(record)
  local is_json, member = pcall(cjson.decode, record)
  return is_json and member.tag_line or ''
end

-- A live node's line of the roster. It has tags only if there are any.
local function roster_line(fields, tags)
  return table.concat(fields, '\t') .. (tags ~= '' and '\t' .. tags or '')
end

-- Counts the nodes of a subcluster, keeps the number, and answers it. `field` is the subcluster's name in small letters
-- for its live nodes, or `-` and that name for its absent nodes.
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

-- Whether others find a session where they look for it. A node has to be in the roster, or no command would expect it.
-- A node or manager has to be in the ranking, or it would never lead. If the numbering of views went back behind a
-- node's join, new commands would not be for this node. This function then raises the number of the view.
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
    if redis.call('HEXISTS', at.subclusters, line.subcluster:lower()) == 0 then
      recount_subcluster(at, line.subcluster:lower())
      end_some_day({ at.subclusters })
    end
  end
  return not (node or private:find('^#mgr%-')) or redis.call('ZSCORE', at.seniority, private) ~= false
end

-- The number of a subcluster's nodes; counted anew if the kept number cannot be read.
local function size_of_subcluster(at, field)
  local kept = redis.call('HGET', at.subclusters, field:lower())
  return kept and (whole(kept) or recount_subcluster(at, field:lower())) or 0
end

-- Changes the kept number of a subcluster's nodes by `by`. Call this after the roster, or the absent nodes, have
-- changed.
local function count_subcluster(at, field, by)
  field = field:lower()
  local kept = redis.call('HGET', at.subclusters, field)
  local size = kept and not whole(kept) and recount_subcluster(at, field) or redis.call('HINCRBY', at.subclusters, field, by)
  if size <= 0 then
    redis.call('HDEL', at.subclusters, field)
  end
end

-- Changes the kept numbers of the subclusters in `lines`; `mark` is `-` for absent nodes, '' for live ones.
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

-- Adds absent nodes, which are expected though they have no session. `lines` holds the line of each, by node. A line is
-- that of a roster with one field more: the wall clock in ms since which the node is absent. For a node that never
-- came, this field and the private name are ''.
local function add_absent(at, lines)
  local fields = {}
  for node, line in pairs(lines) do
    fields[#fields + 1], fields[#fields + 2] = node, line
  end
  redis.call('HSET', at.absent, unpack(fields))
  count_lines(at, '-', lines, 1)
  end_some_day({ at.absent, at.subclusters })
end

-- Removes nodes from the absent ones, and answers the lines of the nodes that were absent, by node.
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

-- The wall clock in ms since which a node is absent, read from its line; '' for a node that never came.
local function absent_since(line)
  return line:match('\t(%d*)$') or ''
end

-- The subcluster that bus files give a node; nil if no file gives one. `said` is their statement: the node's name, then
-- SOURCE=SUBCLUSTER,… for each file, the latest first.
local function given_subcluster(said)
  return said:match('\t[^\t=]*=([^\t,]+)')
end

-- Makes nodes absent whose sessions have ended; `lines` holds their lines by node. If the nodes were lost, all of them
-- become absent; if not, only those that a bus file names. Only lost nodes are forgotten after `absent_ttl`.
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

-- Notes in the audit what happened to members, or to absent nodes. `at` holds the key `audit` and the bound `audit_cap`.
local function audit_members(at, change, members, ...)
  append(at.audit, 'MAXLEN', '~', at.audit_cap, '*', 'what', 'member', 'change', change,
    'members', table.concat(members, ' '), ...)
  end_some_day({ at.audit })
end

-- Ends sessions for one `reason` (leave, replaced, lost), with one new view and one event for all of them. It takes the
-- same few calls however many sessions end.
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
  audit_members(at, reason, privates)
  redis.call(PUBLISH, at.events, cjson.encode({ event = reason, view = view, members = privates }))
end

-- Ends up to `limit` sessions that have lapsed on the lease clock; their reason is lost.
local function end_lapsed(at, clock, limit)
  local lapsed = redis.call('ZRANGEBYSCORE', at.sessions, '-inf', ms(clock), 'LIMIT', 0, limit)
  end_sessions(at, lapsed, 'lost', clock)
end

-- Keeps a kept view for at least `ttl` ms more; answers false if the view is not kept.
local function extend_view(prefix, view, ttl)
  local key = prefix .. view
  local left = redis.call('PTTL', key)
  if left >= 0 and left < tonumber(ttl) then
    redis.call('PEXPIRE', key, ttl)
    redis.call('PEXPIRE', key .. ':absent', ttl)
  end
  return left ~= -2
end

-- Keeps the nodes of the current view under its number for `ttl` ms, so that all readers of this view share one copy.
-- The copy is the roster with one more field '', which says when the numbering began, and beside it the absent nodes.
-- The server itself makes the copy: reading thousands of lines in Lua would block the server several times as long.
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
