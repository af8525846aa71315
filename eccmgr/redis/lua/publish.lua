-- Sends a command: freezes the nodes that it expects, keeps it, logs it and publishes it, all or nothing.
--
-- NEEDS  clock members commands
-- KEYS  state sessions members roster absent absent_since seniority subclusters events log latest audit heads command
--       plan  draft of a plan
-- ARGV  max_step  id  digest of the text  text  issuer  channel  target kind (all | subcluster | node | set)
--       target name  command_ttl  results_ttl  log_cap  channel for notices ('' if nobody waits)
--       ms that the sender waits (0: it does not wait)  view_prefix  command_prefix
--       audit_cap  the text without its secrets ('' if it holds none)
--       names in the set in small letters, a line each ('' for another target); for a large set, whose plan is
--       drafted before (draft.lua), some of its live nodes  node_prefix
--       1 if the command goes out in batches: then this script publishes nothing, and release.lua tells the nodes
--       number of expected nodes of a large set (0: count them)
--       number of answers after which a waiting sender is notified
--       the signed statement of the command, and its signature ('' if commands are not signed)
--       the signed statement of the text without its secrets, and its signature ('' as above, or if it holds none)
--       driver that waits ('' if nobody waits)  ms for which it drives without a further look
--       pace of a command in batches ('' without), its signed statement and the signature ('' as above)
-- Answer  {'sent', view, clock, wall, when the numbering of views began}
--         {'nobody', view, clock, wall, when it began}  no node of the target is alive; nothing was done
--         {'id taken'}                                 try another id; nothing was done
--         {'draft gone'}                               draft the plan again; nothing was done
-- Invariant  a command expects the roster of one view, which does not change afterwards. A command for a set, or in
--            batches, has its nodes in its plan, and no other node may begin it. Each of these nodes is told on its own
--            channel; for a large set all nodes are told. A text with a secret is kept no longer than nodes may begin it.

-- The largest set whose nodes are told one by one. For a larger set it costs less to tell all nodes; those outside of
-- the plan get no claim.
local TOLD_ONE_BY_ONE = 100

local at = {
  state = KEYS[1], sessions = KEYS[2], members = KEYS[3], roster = KEYS[4], absent = KEYS[5],
  absent_since = KEYS[6], seniority = KEYS[7], subclusters = KEYS[8], events = KEYS[9],
  audit = KEYS[12], audit_cap = ARGV[16],
}
local log, latest, audit, heads, command, plan = KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local draft = KEYS[16]
local max_step, id, digest, text, issuer, channel, kind, name, command_ttl, results_ttl, log_cap, notices, wait,
  view_prefix, command_prefix, audit_cap, shown, names, node_prefix, rolling, drafted, told_of, env, sig,
  shown_env, shown_sig, driver, driven, pace, pace_env, pace_sig = unpack(ARGV)

local clock, wall = advance(at.state, max_step)
-- A server whose memory is full refuses this write, before anything is done. After a DEL below it would refuse nothing.
redis.call('HSET', at.state, 'clock', ms(clock))
if redis.call('EXISTS', command) == 1 then
  return { 'id taken' }
elseif tonumber(drafted) > 0 and rolling ~= '1' and redis.call('EXISTS', draft) == 0 then
  return { 'draft gone' }
end
-- Each key is read before anything is written: a key of another kind ends the script here, with nothing done.
for _, key in ipairs({ at.members, at.roster, at.absent, at.subclusters, latest, heads }) do
  redis.call('HLEN', key)
end
for _, key in ipairs({ at.absent_since, at.seniority }) do
  redis.call('ZCARD', key)
end
redis.call('XLEN', audit)
read_of(0, 'HLEN', runs_of(latest, digest))
end_lapsed(at, clock, 100)

local view, born = view_now(at.state)
local nodes = {}
local live = 0
for node in (kind == 'set' and names or name:lower()):gmatch('[^\n]+') do
  nodes[#nodes + 1] = node
end
local expected = 0
if kind == 'all' then
  live = redis.call('HLEN', at.roster)
  expected = live + redis.call('HLEN', at.absent)
elseif kind == 'subcluster' then
  live = size_of_subcluster(at, name)
  expected = live + size_of_subcluster(at, '-' .. name)
else
  for from = 1, #nodes, 1000 do
    local some = { unpack(nodes, from, math.min(from + 999, #nodes)) }
    local lines = redis.call('HMGET', at.roster, unpack(some))
    for i, node in ipairs(some) do
      if lines[i] then
        live = live + 1
        expected = expected + 1
      else
        expected = expected + redis.call('HEXISTS', at.absent, node)
      end
    end
  end
end
keep_view(at, view, born, view_prefix, results_ttl)
if live == 0 then
  return { 'nobody', view, ms(clock), ms(wall), born }
end
if tonumber(drafted) > 0 then
  expected = drafted
end

forget(log, latest, heads, command_prefix, clock - tonumber(results_ttl), tonumber(log_cap), 2)
local entry = append(log, '*', 'id', id, 'digest', digest, 'issued', ms(clock), 'channel', channel)
redis.call('HSET', at.state, 'last', entry)
local expires = clock + tonumber(command_ttl)
redis.call('HSET', command, 'id', id, 'text', shown ~= '' and shown or text, 'kind', kind, 'name', name, 'issuer', issuer, 'view', view,
  'issued', ms(clock), 'issued_wall', ms(wall), 'expires', ms(expires), 'notices', notices,
  'expected', expected)
if tonumber(wait) > 0 then
  redis.call('HSET', command, 'waited', ms(clock + tonumber(wait)), 'tell_at', ms(math.min(told_of, math.max(live, drafted))),
    'driver', driver, 'driven', ms(clock + tonumber(driven)))
end
local statement = { env, sig }
if shown ~= '' then
  -- The text that nodes run stays for as long as they may begin it. The text that is kept longer holds no secret.
  local secret = command .. ':secret'
  redis.call('DEL', secret)
  redis.call('HSET', secret, 'text', text)
  if env ~= '' then
    redis.call('HSET', secret, 'env', env, 'sig', sig)
  end
  redis.call('PEXPIRE', secret, ms(tonumber(command_ttl) + (rolling == '1' and tonumber(wait) or 0)))
  redis.call('HSET', command, 'masked', '1')
  statement = { shown_env, shown_sig }
end
if statement[1] ~= '' then
  redis.call('HSET', command, 'env', statement[1], 'sig', statement[2])
end
redis.call('PEXPIRE', command, results_ttl)
keep_run(latest, digest, id, kind, name, channel, entry, results_ttl)
append(audit, 'MAXLEN', '~', audit_cap, '*', 'what', 'command', 'id', id, 'issuer', issuer,
  'text', (shown ~= '' and shown or text):sub(1, 1024))
end_some_day({ log, latest, audit })

if rolling == '1' then
  redis.call('HSET', command, 'planned', '1', 'rolling', '1', 'digest', digest, 'pace', pace,
    'pace_env', pace_env, 'pace_sig', pace_sig)
elseif kind == 'set' then
  redis.call('HSET', command, 'planned', '1')
  if tonumber(drafted) > 0 then
    redis.call('RENAME', draft, plan)
  else
    add_to_plan(plan, nodes, ms(expires))
  end
  redis.call('PEXPIRE', plan, results_ttl)
  if tonumber(drafted) > 0 or #nodes > TOLD_ONE_BY_ONE then
    tell(heads, command, tonumber(command_ttl), channel, entry)
  else
    for _, node in ipairs(nodes) do
      tell(heads, command, tonumber(command_ttl), node_prefix .. node, entry)
    end
  end
else
  tell(heads, command, tonumber(command_ttl), channel, entry)
end
end_some_day({ heads })
return { 'sent', view, ms(clock), ms(wall), born }
