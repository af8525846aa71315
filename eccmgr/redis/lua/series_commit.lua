-- Notes that an ended window of an audit series is on a manager's disk, and drops its counts.
--
-- NEEDS  when_full clock
-- KEYS  window closed written
-- ARGV  private name of the manager  begin of the window  epoch
-- Answer  {'written'}, also if this was noted before, or {'lost'} if another manager has the window, or wrote it
-- Invariant  a window is written by one manager, in one epoch.

local SERIES_TTL, KEPT = 7 * KEYS_TTL, 1000
local window, closed, written = unpack(KEYS)
local private, begin, epoch = unpack(ARGV)
local mark = begin .. ' ' .. epoch
for _, each in ipairs(redis.call('LRANGE', written, 0, KEPT)) do
  if each == mark then
    return { 'written' }
  end
end
local kept = redis.call('HMGET', window, 'holder', 'epoch', 'ended_begin')
if kept[1] ~= private or kept[2] ~= epoch or kept[3] ~= begin then
  return { 'lost' }
end
redis.call('HDEL', window, 'ended_begin', 'ended', 'holder')
redis.call('UNLINK', closed)
redis.call('LPUSH', written, mark)
redis.call('LTRIM', written, 0, KEPT - 1)
redis.call('PEXPIRE', written, SERIES_TTL)
return { 'written' }
