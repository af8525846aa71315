-- The responses to one command.

-- Gives the first entry of `responses` the lifetime of its command; the command notes it, so that no other asks.
local function begin(command, responses)
  redis.call('HSET', command, 'begun', '1')
  redis.call('PEXPIRE', responses, math.max(1, redis.call('PTTL', command)))
end
