-- Clears the results buffer, a page at a time. A command that nodes may still begin is only hidden, not withdrawn: its
-- keys go soon after it has expired.
--
-- NEEDS  when_full clock commands
-- KEYS  state log latest
-- ARGV  max_step  command_prefix  log id to begin after ('-' for the first)  log id to end with ('+': the newest)
-- Answer  {number of commands cleared, log id to go on after ('' if all is done), log id to end with}

local state, log, latest = unpack(KEYS)
local max_step, command_prefix, from, to = unpack(ARGV)
local clock = advance(state, max_step)
if to == '+' then
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  to = last and last[1] or '0-0'
end
local start = from == '-' and '-' or '(' .. from
local entries = redis.call('XRANGE', log, start, to, 'COUNT', 200)
local cleared = 0
for _, entry in ipairs(entries) do
  local id, digest = entry[2][2], entry[2][4] or ''
  local keys = { keys_of_command(command_prefix, id) }
  local found = read_of({}, 'HMGET', keys[1], 'expires', 'hidden')
  drop_run(latest, digest, id, entry[2][8] or '')
  if found[1] and not found[2] then
    cleared = cleared + 1
  end
  local left = (whole(found[1]) or 0) - clock
  if left > 0 then
    redis.call('HSET', keys[1], 'hidden', '1')
    for _, name in ipairs(keys) do
      redis.call('PEXPIRE', name, ms(2 * left + 1000))
    end
  else
    redis.call('UNLINK', unpack(keys))
    redis.call('XDEL', log, entry[1])
  end
end
return { cleared, #entries == 200 and entries[#entries][1] or '', to }
