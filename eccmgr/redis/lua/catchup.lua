-- What was sent to some channels after an entry of the log, for a node that did not hear it.
--
-- KEYS  state log
-- ARGV  max_step  entry after which to read  most entries to read  command_prefix  channel …
-- Answer  {entry up to which was read, 1 where there may be more, messages as they were published}
-- Invariant  what has expired is not told again.

local state, log = unpack(KEYS)
local max_step, after, limit, command_prefix = unpack(ARGV)
local clock = advance(state, max_step)
local wanted = {}
for i = 5, #ARGV do
  wanted[ARGV[i]] = true
end
local entries = redis.call('XRANGE', log, '(' .. after, '+', 'COUNT', limit)
local messages = {}
for _, entry in ipairs(entries) do
  local id, channel = entry[2][2], entry[2][8]
  after = entry[1]
  if wanted[channel] then
    local command = keys_of_command(command_prefix, id)
    local expires = tonumber(redis.call('HGET', command, 'expires'))
    if expires and clock < expires then
      messages[#messages + 1] = message_of(command, expires - clock, channel, entry[1], '0-0')
    end
  end
end
return { after, #entries >= tonumber(limit) and 1 or 0, messages }
