-- Reads the messages sent to some channels after an entry of the log, for a node that did not hear them.
--
-- NEEDS  clock commands
-- KEYS  state log
-- ARGV  max_step  entry after which to read  maximum number of entries  command_prefix  node name in small letters
--       channel …
-- Answer  {last entry that was read, 1 if there may be more, messages as they were published}
-- Invariant  the answer has no expired command, and no command that is planned for other nodes. The withdrawal of a
--            command comes after the command.

local state, log = unpack(KEYS)
local max_step, after, limit, command_prefix, node = unpack(ARGV)
local clock = advance(state, max_step, true)
local wanted = {}
for i = 6, #ARGV do
  wanted[ARGV[i]] = true
end
local entries = redis.call('XRANGE', log, '(' .. after, '+', 'COUNT', limit)
local messages = {}
for _, entry in ipairs(entries) do
  local id, channel, what = entry[2][2], entry[2][8], entry[2][10]
  after = entry[1]
  if wanted[channel] and what == 'aborted' then
    messages[#messages + 1] = withdrawal_of(keys_of_command(command_prefix, id), id, channel, entry[1], '0-0')
  elseif wanted[channel] then
    local command, _, _, plan, releases = keys_of_command(command_prefix, id)
    local kept = read_of({}, 'HMGET', command, 'expires', 'planned')
    local expires = whole(kept[2] and read_of(false, 'HGET', plan, node) or not kept[2] and kept[1] or nil)
    if expires and clock < expires then
      messages[#messages + 1] = message_of(command, expires - clock, channel, entry[1], '0-0',
        release_to(releases, node))
    end
  end
end
return { after, #entries >= tonumber(limit) and 1 or 0, messages }
