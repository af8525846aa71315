-- Keeps the statement of a bus file: the nodes that it names, and the subcluster of each. A large file takes several
-- calls.
--
-- NEEDS  clock members
-- KEYS  state roster absent absent_since subclusters events
-- ARGV  max_step  source: a short name of the file  the file's name for people ('' if the file is to be forgotten)
--       then for each node: its name  its subclusters between commas ('' if the file gives it none)
--       1 if the file names it, 0 if the file names it no longer
-- Answer  'taken'
-- Invariant  each node that a bus file names is in the roster or among the absent nodes. Several files may speak of one
--            node: the statement of each is kept, the latest first.

local at = {
  state = KEYS[1], roster = KEYS[2], absent = KEYS[3], absent_since = KEYS[4], subclusters = KEYS[5], events = KEYS[6],
}
local max_step, source, called = unpack(ARGV)
local _, wall = advance(at.state, max_step)

-- The statement of all files on a node, once this file has stated `subclusters` (nil: this file does not name the
-- node). The answer is nil if no file names the node.
local function said_now(kept, name, subclusters)
  local said = {}
  for part in (kept and kept:match('^[^\t]*\t(.*)$') or ''):gmatch('[^\t]+') do
    if part:match('^[^=]*') ~= source then
      said[#said + 1] = part
    end
  end
  if subclusters then
    table.insert(said, 1, source .. '=' .. subclusters)
  end
  return #said > 0 and (kept and kept:match('^[^\t]+') or name) .. '\t' .. table.concat(said, '\t') or nil
end

local function line_of_unseen(said)
  return table.concat({ '', said:match('^[^\t]*'), given_subcluster(said) or 'default', '0', '', '' }, '\t')
end

local changed, expected, unexpected = false, {}, {}
for i = 4, #ARGV, 3 do
  local name, node = ARGV[i], ARGV[i]:lower()
  local kept = redis.call('HGET', at.subclusters, '=' .. node)
  local said = said_now(kept, name, ARGV[i + 2] == '1' and ARGV[i + 1] or nil)
  if said ~= (kept or nil) then
    changed = true
    if said then
      redis.call('HSET', at.subclusters, '=' .. node, said)
    else
      redis.call('HDEL', at.subclusters, '=' .. node)
    end
  end
  local line = redis.call('HGET', at.absent, node)
  local unseen = line and seat(line).private == ''
  if said and redis.call('HEXISTS', at.roster, node) == 0 and (not line or (unseen and line ~= line_of_unseen(said))) then
    expected[node] = line_of_unseen(said)
    unexpected[#unexpected + 1] = line and node or nil
  elseif not said and line and not redis.call('ZSCORE', at.absent_since, node) then
    unexpected[#unexpected + 1] = node
  end
end

if #unexpected > 0 then
  remove_absent(at, unexpected)
end
if next(expected) then
  add_absent(at, expected)
end
if #unexpected > 0 or next(expected) then
  local names = {}
  for node in pairs(expected) do
    names[#names + 1] = node
  end
  for _, node in ipairs(unexpected) do
    if not expected[node] then
      names[#names + 1] = node
    end
  end
  redis.call(PUBLISH, at.events, cjson.encode({ event = 'named', view = next_view(at.state), members = names }))
end
if called == '' then
  redis.call('HDEL', at.subclusters, '@' .. source)
else
  redis.call('HSET', at.subclusters, '@' .. source, called .. '\t' .. ms(wall))
end
end_some_day({ at.subclusters })
local number = whole(redis.call('HGET', at.state, 'bus') or '')
if changed or not number then
  redis.call('HSET', at.state, 'bus', ms((number or 0) + 1))
end
return 'taken'
