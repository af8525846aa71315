-- The pipe of a log: a stream of records, and a hash with its state.
--
-- The id of a record is the number of bytes that had ever gone into the pipe with it. So no script counts the bytes in
-- a pipe: they are the difference of two numbers.

-- The lifetime of a pipe that nobody uses, in ms.
local PIPE_TTL = 30 * 24 * 3600 * 1000

-- Stands in place of the bytes that a subscriber has, while it cannot write them.
local STALLED = '-'

-- The number in a field of the state; 0 if it cannot be read.
local function counted(state, field)
  return whole(redis.call('HGET', state, field)) or 0
end

-- The manager that holds the lease of a subscriber, and its epoch; nil if nobody does.
local function holder_of(state, subscriber)
  local lease = redis.call('HGET', state, 'lease:' .. subscriber)
  if not lease then
    return nil, 0
  end
  local holder, epoch = lease:match('^(%S+) (%d+)$')
  return holder, whole(epoch) or 0
end

-- Whether this manager holds the lease of a subscriber in this epoch.
local function holds(state, subscriber, holder, epoch)
  local present, of_epoch = holder_of(state, subscriber)
  return present == holder and of_epoch == tonumber(epoch)
end

-- Takes out of the pipe what all subscribers with a live manager have written. A subscriber without one does not hold
-- up the others, nor one that cannot write: its manager asks later for what is missing.
local function trim(state, pipe, sessions, clock)
  local least, taken = nil, counted(state, 'taken')
  for subscriber in (redis.call('HGET', state, 'subscribes') or ''):gmatch('[^,]+') do
    local holder = holder_of(state, subscriber)
    local stalls = redis.call('HGET', state, 'has:' .. subscriber) == STALLED
    if holder and not stalls and not is_over(tonumber(redis.call('ZSCORE', sessions, holder) or ''), clock) then
      local has = counted(state, 'has:' .. subscriber)
      least = math.min(least or has, has)
    end
  end
  if least and least > taken then
    redis.call('XTRIM', pipe, 'MINID', ms(least + 1))
    redis.call('HSET', state, 'taken', ms(least))
    return least
  end
  return taken
end

local function keep_pipe(...)
  for _, key in ipairs({ ... }) do
    redis.call('PEXPIRE', key, PIPE_TTL)
  end
end
