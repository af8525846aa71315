-- Ends the window of an audit series if its time is over, and gives the ended window to one manager.
--
-- NEEDS  when_full clock
-- KEYS  window cluster_state counts closed sessions
-- ARGV  max_step  private name of the manager  interval in ms
-- Answer  {'window', begin, end (wall clock, ms), epoch}  the manager shall write what `closed` has
--         {'taken', private name of the manager that writes it}
--         {'open', ms until its end}
-- Invariant  each count is in one window, and a window begins where the one before it ended. One manager has an ended
--            window as long as its session lives; epochs rise, also on a server that has forgotten some of them. Until
--            a window is written, the next one goes on.

local SERIES_TTL = 7 * KEYS_TTL
local window, state, counts, closed, sessions = unpack(KEYS)
local max_step, private, interval = unpack(ARGV)
local clock, wall = advance(state, max_step)
redis.call('ZCARD', counts)
redis.call('ZCARD', closed)
local kept = redis.call('HMGET', window, 'begin', 'ended_begin', 'ended', 'holder', 'epoch')
local begin, ended_begin, ended = whole(kept[1]), whole(kept[2]), whole(kept[3])
local holder, epoch = kept[4] or '', math.max((whole(kept[5]) or 0) + 1, wall)
if ended_begin and ended then
  if holder ~= private and not is_over(tonumber(redis.call('ZSCORE', sessions, holder) or ''), clock) then
    return { 'taken', holder }
  end
else
  if not begin then
    begin = wall
    redis.call('HSET', window, 'begin', ms(begin))
    redis.call('PEXPIRE', window, SERIES_TTL)
  end
  local left = begin + tonumber(interval) - wall
  if left > 0 then
    return { 'open', ms(math.min(left, interval)) }
  end
  redis.call('UNLINK', closed)
  if redis.call('EXISTS', counts) == 1 then
    redis.call('RENAME', counts, closed)
  end
  ended_begin, ended = begin, wall
  redis.call('HSET', window, 'begin', ms(wall), 'ended_begin', ms(ended_begin), 'ended', ms(ended))
end
redis.call('HSET', window, 'holder', private, 'epoch', ms(epoch))
redis.call('PEXPIRE', window, SERIES_TTL)
redis.call('PEXPIRE', closed, SERIES_TTL)
return { 'window', ms(ended_begin), ms(ended), ms(epoch) }
