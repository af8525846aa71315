-- Adds a batch of counts to audit series, once.
--
-- NEEDS  clock
-- KEYS  series batch  then the counts of each series of the batch
-- ARGV  number of the batch  number of its series  then for each: name  most entries  number of its entries
--       then for each entry: node and key, with a tab between them  count
-- Answer  {'added'}, or {'again'} if this batch, or a later one of its sender, was added before
-- Invariant  each batch is added once, however often it is sent. A series has no more than its most entries: the
--            smallest ones are merged into their node's `other`.

local SERIES_TTL = 7 * KEYS_TTL
local series, batch = KEYS[1], KEYS[2]
local number, names = tonumber(ARGV[1]), tonumber(ARGV[2])
if (whole(redis.call('GET', batch)) or 0) >= number then
  return { 'again' }
end
redis.call('SET', batch, ms(number), 'PX', KEYS_TTL)
local time = redis.call('TIME')
local at = 3
for i = 1, names do
  local counts = KEYS[2 + i]
  local name, most, entries = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  at = at + 3
  for _ = 1, entries do
    redis.call('ZINCRBY', counts, ARGV[at + 1], ARGV[at])
    at = at + 2
  end
  local excess = redis.call('ZCARD', counts) - most
  if excess > 0 then
    -- An entry `other` that is popped itself goes on with what it has.
    local popped = redis.call('ZPOPMIN', counts, excess + 1)
    for j = 1, #popped, 2 do
      local node = popped[j]:match('^[^\t]*')
      redis.call('ZINCRBY', counts, popped[j + 1], node .. '\tother')
    end
  end
  redis.call('PEXPIRE', counts, SERIES_TTL)
  redis.call('ZADD', series, ms(time[1] * 1000), name)
end
redis.call('PEXPIRE', series, SERIES_TTL)
return { 'added' }
