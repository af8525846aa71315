-- Reads the latest commands that were sent to nodes, newest first.
--
-- NEEDS  clock commands
-- KEYS  state log
-- ARGV  max_step  maximum number of commands  command_prefix
-- Answer  {{id, text, target kind, target name, issuer, wall clock of its issue, answered, expected}, …}; a text is cut
--         to its first 1,024 bytes. A flushed command is left out.
-- Invariant  the cost grows with the number of commands, not with the nodes that answered.

local state, log = unpack(KEYS)
local max_step, count, command_prefix = unpack(ARGV)
advance(state, max_step, true)
local found, left, last = {}, tonumber(count), '+'
while left > 0 do
  local entries = redis.call('XREVRANGE', log, last, '-', 'COUNT', math.max(left, 20))
  for _, entry in ipairs(entries) do
    last = '(' .. entry[1]
    -- A release or a withdrawal has its own entry, which has one more field.
    if not entry[2][10] and left > 0 then
      left = left - 1
      local key, _, arrived = keys_of_command(command_prefix, entry[2][2])
      local kept = read_of({}, 'HMGET', key, 'id', 'text', 'kind', 'name', 'issuer',
        'issued_wall', 'answered', 'expected', 'hidden')
      if kept[1] and not kept[9] then
        local text = (kept[2] or ''):sub(1, 1024)
        -- While a gather waits, the nodes that answered stand in this list instead.
        local counted = tonumber((kept[7] or ''):match('^-?%d+$') or '') or 0
        local answered = math.max(0, math.min(counted, 1000000)) + read_of(0, 'LLEN', arrived)
        found[#found + 1] = { kept[1], text, kept[3], kept[4], kept[5], kept[6], ms(answered), kept[8] }
      end
    end
  end
  if #entries == 0 then
    break
  end
end
return found
