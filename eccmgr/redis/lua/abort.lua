-- Withdraws a command: from now on no node may begin it, and the nodes that run it are told to cancel it.
--
-- NEEDS  when_full clock commands
-- KEYS  state command audit log heads
-- ARGV  max_step  channel of all nodes  issuer  audit_cap
--       the signed statement of the withdrawal, and its signature ('' if it is not signed)
-- Answer  'aborted'  (also if it was withdrawn before; the nodes are told again)
--         'gone'     Redis no longer keeps this command
-- Invariant  after this call no claim on the command is granted. A node that did not hear the message reads the
--            withdrawal in the log.

local state, command, audit, log, heads = unpack(KEYS)
local max_step, channel, issuer, audit_cap, env, sig = unpack(ARGV)
local clock = advance(state, max_step)
local kept = redis.call('HMGET', command, 'id', 'hidden', 'aborted', 'notices')
-- Each key is read before anything is written: a key of another kind ends the script here, with nothing done.
redis.call('XLEN', audit)
redis.call('XLEN', log)
redis.call('HLEN', heads)
if not kept[1] or kept[2] then
  return 'gone'
end
if env ~= '' then
  redis.call('HSET', command, 'abort_env', env, 'abort_sig', sig)
end
local entry, before = '0-0', '0-0'
if not kept[3] then
  redis.call('HSET', command, 'aborted', ms(clock))
  redis.call('UNLINK', command .. ':secret')
  append(audit, 'MAXLEN', '~', audit_cap, '*', 'what', 'abort', 'id', kept[1], 'issuer', issuer)
  entry = append_to_log(state, log, kept[1], '', clock, channel, 'aborted')
  before = redis.call('HGET', heads, channel) or before
  redis.call('HSET', heads, channel, entry)
  end_some_day({ audit, log, heads })
end
redis.call(PUBLISH, channel, withdrawal_of(command, kept[1], channel, entry, before))
if kept[4] and kept[4] ~= '' then
  -- The channel's name was read from Redis and may be anything, so an error here must not end the script.
  redis.pcall(PUBLISH, kept[4], kept[1])
end
return 'aborted'
