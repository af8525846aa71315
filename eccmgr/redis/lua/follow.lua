-- Begins to follow a command that another call has sent, or takes the place of its driver, who is gone.
--
-- NEEDS  when_full clock
-- KEYS  state command arrived
-- ARGV  max_step  driver ('' to watch only)  ms for which it drives without a further look  channel for notices
-- Answer  {number of responses so far in the order of their arrival, whether it is driven: mine | other | none,
--          pace ('' if it is not in batches), the signed statement of the pace, and its signature}
--         {} if there is no such command
-- Invariant  a command has one driver at a time: another one takes its place once it has gone, or has not looked for
--            that long, and only while the sender would still wait and the command was not withdrawn.
--            From this call on every response is among those that have arrived.

local state, command, arrived = unpack(KEYS)
local max_step, driver, driven, notices = unpack(ARGV)
local clock = advance(state, max_step)
local kept = redis.call('HMGET', command, 'id', 'hidden', 'waited', 'aborted', 'driver', 'driven', 'tell_at', 'pace',
  'pace_env', 'pace_sig')
if not kept[1] or kept[2] then
  return {}
end
local number = redis.call('LLEN', arrived)
redis.call('HSET', command, 'followed', '1')
if not kept[7] then
  redis.call('HSET', command, 'tell_at', '0')
end
local held = (kept[5] or '') ~= '' and clock < (whole(kept[6]) or 0)
local drives = held and (kept[5] == driver and 'mine' or 'other') or 'none'
if drives ~= 'other' and driver ~= '' and not kept[4] and clock < (whole(kept[3]) or 0) then
  redis.call('HSET', command, 'driver', driver, 'driven', ms(clock + driven), 'notices', notices,
    'tell_at', ms(number + 1))
  drives = 'mine'
end
return { number, drives, kept[8] or '', kept[9] or '', kept[10] or '' }
