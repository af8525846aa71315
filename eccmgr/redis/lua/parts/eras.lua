-- Eras, sessions that carry VIPs, and the records of VIPs. Only scripts about VIPs need this part.
--
-- An era is one life of the server's memory. A script begins a new era if the memory is not the one on record (a
-- restart, a fail-over, a missing key), or if the caller has seen a later era. A new era is closed: no VIP is granted
-- in it until a session has watched the era for so long that every holder of a VIP must have stated it.
--
-- The scripts of delivery do not need this part, nor does the end of a lapsed session. They end a membership, on which
-- no VIP rests, and to ask the server for its memory costs tens of microseconds.
--
-- `at` holds the keys by name.
-- Hash `vips`, field → value:
--   private name → the session's era and renewal counter
--   address      → owner, epoch, era, the node that it is reserved for, reason of the last change
--   @node        → the statement of the node about its VIPs
--   ~node        → the VIPs that the node cannot carry now
--   !node        → that the node is drained
-- Sorted set `changes`: field of `vips` → number of its latest change.
-- Sorted set `late`: session → the time on the lease clock from which it looks late.

local function memory_of_server()
  local info = redis.pcall('INFO', 'server', 'replication')
  if type(info) ~= 'string' then
    local server, replication = redis.pcall('INFO', 'server'), redis.pcall('INFO', 'replication')
    info = (type(server) == 'string' and server or '') .. (type(replication) == 'string' and replication or '')
  end
  return (info:match('run_id:(%w+)') or '') .. '|' .. (info:match('master_replid:(%w+)') or '')
end

-- The highest number of an era. An era is numbered with the time in ms, or a little above it; we write no higher
-- number.
local LAST_ERA = 100000000000000

-- Answers the present era; begins a new era if one is due. The answer has the era's number, the server's
-- memory, whether the era is open, and the number of the era that the caller has seen.
local function enter_era(at, seen)
  local memory = memory_of_server()
  local kept = redis.call('HMGET', at.state, 'era', 'mem', 'open')
  local number = whole(kept[1]) or 0
  if number > LAST_ERA then
    number = 0
  end
  if kept[2] == memory and number >= tonumber(seen) and redis.call('EXISTS', at.vips, at.changes, at.late) == 3 then
    return { number = number, memory = memory, open = kept[3] == '1', seen = tonumber(seen) }
  end
  for _, private in ipairs(redis.call('ZRANGE', at.late, 0, -1)) do
    redis.call('HDEL', at.vips, private)
  end
  redis.call('DEL', at.late)
  -- The number is at least the time. So a server that lost everything gives no number twice, even if no caller has seen
  -- a later era.
  local time = redis.call('TIME')
  number = math.max(number, tonumber(seen), time[1] * 1000 + math.floor(time[2] / 1000)) + 1
  redis.call('HSET', at.state, 'era', ms(number), 'mem', memory, 'open', '0')
  -- These keys exist even if they hold nothing, so a missing key means that it was lost.
  redis.call('HSET', at.vips, '', '')
  redis.call('ZADD', at.changes, 0, '')
  redis.call('ZADD', at.late, '+inf', '')
  end_some_day({ at.state, at.vips, at.changes, at.late })
  return { number = number, memory = memory, open = false, seen = tonumber(seen) }
end

-- The renewal counter of a session that joined in this era; nil for any other.
local function counter_of(at, era, private)
  local life = private ~= '' and redis.call('HGET', at.vips, private)
  local joined, counter = (life or ''):match('^(%d+) (%d+)$')
  return joined == ms(era.number) and whole(counter) or nil
end

-- The verdict on a call of the session `private`, which knows the server's memory as `memory`: ok, ended or rejoin.
-- A call that was sent in an earlier era and arrives late is answered rejoin, even if its session has joined in this
-- era meanwhile: the session may not have stated its VIPs yet.
local function verdict_on(at, era, private, memory, ended_prefix)
  if redis.call('EXISTS', ended_prefix .. private) == 1 then
    return 'ended'
  end
  local is_of_this = memory == era.memory and era.seen == era.number
  return is_of_this and counter_of(at, era, private) and 'ok' or 'rejoin'
end

-- Counts a renewal, or a join in this era.
local function count_renewal(at, era, private, clock, late_after)
  local counter = (counter_of(at, era, private) or 0) + 1
  redis.call('HSET', at.vips, private, ms(era.number) .. ' ' .. ms(counter))
  redis.call('ZADD', at.late, ms(clock + tonumber(late_after)), private)
end

-- The highest number that a change may have.
local LAST_CHANGE = 999999999999999

-- The number of the latest change. If the kept number is missing or cannot be read, the highest one in `changes` takes
-- its place. Other numbers may have been lost with it, so the server's memory counts as lost too.
local function change_now(at)
  local kept = redis.call('HGET', at.state, 'change')
  local change = whole(kept)
  if not change then
    local last = redis.call('ZREVRANGEBYSCORE', at.changes, LAST_CHANGE, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
    change = math.max(0, math.floor(tonumber(last[2] or '0') or 0))
    redis.call('HSET', at.state, 'change', ms(change))
    if kept or change > 0 then
      redis.call('HSET', at.state, 'mem', '')
    end
  end
  return change
end

-- The part of a heartbeat's answer about VIPs: era, memory, open, number of the latest change, and the sessions that
-- look late, each with its counter.
local function standing(at, era, private, clock)
  local late = {}
  -- A session with such a time would never look late, and nobody could take over what it carried.
  local latest = ms(clock + KEYS_TTL)
  for _, each in ipairs(redis.call('ZRANGEBYSCORE', at.late, '(' .. latest, '+inf', 'LIMIT', 0, 17)) do
    if each ~= '' then
      redis.call('ZADD', at.late, ms(clock), each)
    end
  end
  for _, each in ipairs(redis.call('ZRANGEBYSCORE', at.late, '-inf', ms(clock), 'LIMIT', 0, 17)) do
    local counter = each ~= private and counter_of(at, era, each)
    if each ~= private and not counter then
      -- This session did not join in this era. It must not take the place of a session that did.
      redis.call('ZREM', at.late, each)
    elseif counter and #late < 32 then
      late[#late + 1] = each
      late[#late + 1] = ms(counter)
    end
  end
  return { ms(era.number), era.memory, era.open and 1 or 0, ms(change_now(at)), late }
end

-- The node whose session has this private name.
local function node_of(private)
  return private:match('#([^#]*)$') or ''
end

-- Notes in the audit that a VIP changed its owner. `private` is the new owner's session, or the old owner's where the
-- VIP was released; `other` (`from` or `to`) is the field that holds `node`, the other side.
local function audit_vip(at, cap, change, address, private, epoch, reason, other, node)
  append(at.audit, 'MAXLEN', '~', cap, '*', 'what', 'vip', 'change', change, 'address', address,
    'node', node_of(private), 'epoch', ms(epoch), 'reason', reason, other, node)
end

-- Keeps since when a node holds a VIP, and which node held it before. A node that states what it held already holds it
-- since then. This is only for showing: if the server refuses it (a right is missing, say), the VIP is granted all the
-- same.
local function keep_hold(at, address, private, epoch, is_stated)
  local kept = redis.pcall('HGET', at.holds, address)
  local since, holder, before = (type(kept) == 'string' and kept or ''):match('^%d+\t(%d+)\t([^\t]*)\t([^\t]*)$')
  local node, time = node_of(private), redis.call('TIME')
  if not (is_stated and whole(since) and holder == node) then
    since, before = ms(time[1] * 1000 + math.floor(time[2] / 1000)), holder or ''
  end
  redis.pcall('HSET', at.holds, address, table.concat({ ms(epoch), since, node, before }, '\t'))
  redis.pcall('PEXPIRE', at.holds, KEYS_TTL)
end

-- Ends a session for ever, which frees all VIPs that it owns. These may be thousands, so the audit gets one entry for
-- all of them; each VIP gets an entry of its own when it is granted again.
local function end_carrier(at, private, ended_prefix, audit_cap, reason, by)
  if redis.call('HEXISTS', at.vips, private) == 1 then
    append(at.audit, 'MAXLEN', '~', audit_cap, '*', 'what', 'vip session', 'change', 'ended',
      'node', node_of(private), 'session', private, 'reason', reason, 'by', node_of(by))
    end_some_day({ at.audit })
  end
  redis.call('SET', ended_prefix .. private, '', 'PX', KEYS_TTL)
  redis.call('HDEL', at.vips, private)
  redis.call('ZREM', at.late, private)
end

-- Notes a change of `name`. If the numbers are used up, the missing key has the next script begin an era, in which
-- everything is stated again.
local function next_change(at, name)
  if change_now(at) >= LAST_CHANGE then
    redis.call('DEL', at.changes)
    redis.call('HSET', at.state, 'change', '0')
    return
  end
  local change = redis.call('HINCRBY', at.state, 'change', 1)
  redis.call('ZADD', at.changes, change, name)
end

-- Notes `name` once more if its number was lost, or is none of ours: agents that read from the beginning would miss it.
-- Answers whether it did.
local function list_again(at, name)
  local listed = tonumber(redis.call('ZSCORE', at.changes, name) or '0') or 0
  if listed > 0 and listed <= change_now(at) then
    return false
  end
  next_change(at, name)
  return true
end

-- A VIP's record; nil if it cannot be read. Then the VIP's owner is unknown, and the server's memory counts as lost,
-- as with a missing key. The next script begins an era, in which the holder of the VIP states it.
local function record_of(at, address)
  local text = redis.call('HGET', at.vips, address) or '\t0\t0\t\t'
  local owner, epoch, era, to, reason = text:match('^([^\t]*)\t(%d+)\t(%d+)\t([^\t]*)\t([^\t]*)$')
  if not (whole(epoch) and whole(era)) then
    redis.call('HDEL', at.vips, address)
    redis.call('HSET', at.state, 'mem', '')
    return nil
  end
  return { owner = owner, epoch = tonumber(epoch), era = tonumber(era), to = to, reason = reason }
end

local function keep_record(at, address, owner, epoch, era, to, reason)
  redis.call('HSET', at.vips, address, table.concat({ owner, ms(epoch), ms(era.number), to, reason }, '\t'))
  next_change(at, address)
end

-- Tells the agents that there is something to read.
local function tell_agents(at, what)
  redis.call(PUBLISH, at.vip_events, what)
end
