-- The responses to one command.

-- Gives `responses` the lifetime of its command, with the first entry. The command notes this, so that later entries
-- need not look.
local function begin(command, responses)
  redis.call('HSET', command, 'begun', '1')
  redis.call('PEXPIRE', responses, math.max(1, redis.call('PTTL', command)))
end
