-- Commands: their keys, their messages, and the log.

-- The keys of one command, as keys.py names them.
local function keys_of_command(prefix, id)
  local key = prefix .. id
  return key, key .. ':resp', key .. ':arrived', key .. ':plan', key .. ':releases', key .. ':secret'
end

-- Reads a command's key that is not among the script's KEYS, and answers the value. A key that holds another kind of
-- value is not ours: this drops it and answers `nothing`.
local function read_of(nothing, what, key, ...)
  local answer = redis.pcall(what, key, ...)
  if type(answer) ~= 'table' or not answer.err then
    return answer
  elseif tostring(answer.err):find('WRONGTYPE', 1, true) then
    redis.call('UNLINK', key)
    return nothing
  end
  return redis.call(what, key, ...)
end

-- The key of a text's latest runs, as keys.py names it. It holds the latest run for each channel, and every run for a
-- set.
local function runs_of(latest, digest)
  return latest .. ':' .. digest
end

-- Records `id` as the latest run of a text for its target.
local function keep_run(latest, digest, id, kind, name, channel, entry, ttl)
  local runs = runs_of(latest, digest)
  redis.call('HSET', latest, digest, id)
  redis.call('HSET', runs, kind == 'set' and 'set:' .. id or channel, entry .. ' ' .. id .. ' ' .. kind .. ':' .. name)
  redis.call('PEXPIRE', runs, ttl)
end

-- Removes `id` from the latest runs of a text.
local function drop_run(latest, digest, id, channel)
  local runs = runs_of(latest, digest)
  if redis.call('HGET', latest, digest) == id then
    redis.call('HDEL', latest, digest)
  end
  if read_of(0, 'HEXISTS', runs, 'set:' .. id) == 1 then
    redis.call('HDEL', runs, 'set:' .. id)
  else
    local run = redis.call('HGET', runs, channel)
    if run and run:match('^%S+ (%S+)') == id then
      redis.call('HDEL', runs, channel)
    end
  end
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

-- Keeps a signed release of a command for the nodes that it names, and answers what `message_of` adds to the message.
local function keep_release(releases, nodes, env, sig)
  local number = ms((whole(redis.call('HGET', releases, 'last')) or 0) + 1)
  redis.call('HSET', releases, 'last', number, 'env:' .. number, env, 'sig:' .. number, sig)
  local fields = {}
  for _, node in ipairs(nodes) do
    fields[#fields + 1], fields[#fields + 2] = 'node:' .. node, number
  end
  redis.call('HSET', releases, unpack(fields))
  return { env, sig }
end

-- The latest signed release of a command to `node`; nil without a release.
local function release_to(releases, node)
  local number = read_of(false, 'HGET', releases, 'node:' .. node)
  local kept = number and redis.call('HMGET', releases, 'env:' .. number, 'sig:' .. number) or {}
  return kept[1] and kept or nil
end

-- The message of a command for the nodes of a channel; they may begin the command for `ttl` ms more. The statement of
-- a signed command holds its text and its issuer. `release`, if not nil, is the signed release of a command in batches.
-- A text with a secret stands in a key of its own, which expires with the command: then there is no message, but nil.
local function message_of(command, ttl, channel, entry, before, release)
  local kept = redis.call('HMGET', command, 'id', 'text', 'issuer', 'view', 'planned', 'rolling', 'env', 'sig',
    'masked')
  if kept[9] then
    local secret = read_of({}, 'HMGET', command .. ':secret', 'text', 'env', 'sig')
    kept[2], kept[7], kept[8] = secret[1], secret[2], secret[3]
    if not secret[1] then
      return nil
    end
  end
  local message = {
    id = kept[1], view = whole(kept[4]), ttl = ttl,
    channel = channel, entry = entry, before = before, planned = kept[5] and not kept[6] or false,
  }
  if kept[7] then
    message.env, message.sig = kept[7], kept[8]
  else
    message.text, message.issuer = kept[2], kept[3]
  end
  if release then
    message.release_env, message.release_sig = release[1], release[2]
  end
  return cjson.encode(message)
end

-- Publishes a command to the nodes of a channel, and records `entry` as the latest entry of that channel.
local function tell(heads, command, ttl, channel, entry, release)
  local before = redis.call('HGET', heads, channel) or '0-0'
  redis.call('HSET', heads, channel, entry)
  local message = message_of(command, ttl, channel, entry, before, release)
  if message then
    redis.call(PUBLISH, channel, message)
  end
end

-- The message that a command was withdrawn; nodes recognise it by its first characters.
local function withdrawal_of(command, id, channel, entry, before)
  local kept = redis.call('HMGET', command, 'abort_env', 'abort_sig')
  return string.format('{"abort":%s,"channel":%s,"entry":%s,"before":%s,"env":%s,"sig":%s}', cjson.encode(id),
    cjson.encode(channel), cjson.encode(entry), cjson.encode(before), cjson.encode(kept[1] or ''),
    cjson.encode(kept[2] or ''))
end

-- Appends to the log that a command was released or withdrawn, for nodes that did not hear the message. Unlike
-- a command's own entry, this entry has a fifth field.
local function append_to_log(state, log, id, digest, clock, channel, what)
  local entry = append(log, '*', 'id', id, 'digest', digest, 'issued', ms(clock), 'channel', channel,
    'what', what)
  redis.call('HSET', state, 'last', entry)
  return entry
end

-- Forgets commands from the old end of the log: those issued before `since` on the lease clock, and those over the
-- cap; at most `limit` of them. A channel whose latest entry is forgotten begins anew.
-- Two kinds of command stay longer: a command that was released again, until the entry of that release is forgotten;
-- and a command with a job that reported after `since`.
local function forget(log, latest, heads, prefix, since, cap, limit)
  local over = redis.call('XLEN', log) - cap
  for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', limit)) do
    local id, digest, issued, channel = entry[2][2], entry[2][4] or '', whole(entry[2][6]) or 0, entry[2][8] or ''
    if issued >= since and over <= 0 then
      return
    end
    local kept = read_of({}, 'HMGET', prefix .. id, 'released', 'job')
    if over > 0 or (whole(kept[2]) or 0) < since then
      over = over - 1
      if not kept[1] or kept[1] == entry[1] then
        drop_run(latest, digest, id, channel)
        redis.call('UNLINK', keys_of_command(prefix, id))
      end
      if redis.call('HGET', heads, channel) == entry[1] then
        redis.call('HDEL', heads, channel)
      end
      redis.call('XDEL', log, entry[1])
    end
  end
end
