-- Reads the changes after a change number.
--
-- NEEDS  when_full clock eras
-- KEYS  state vips changes late vip_events
-- ARGV  ended_prefix  private_name  era seen  memory seen  change number  maximum number of entries
-- Answer  {verdict, era, memory, last change number of this answer, 1 if there is more, {name, text, …}}

local at = { state = KEYS[1], vips = KEYS[2], changes = KEYS[3], late = KEYS[4], vip_events = KEYS[5] }
local ended_prefix, private, seen, memory, since, limit = unpack(ARGV)
local era = enter_era(at, seen)
local verdict = verdict_on(at, era, private, memory, ended_prefix)
if verdict ~= 'ok' then
  return { verdict, ms(era.number), era.memory, '0', 0, {} }
end
local range = { '(' .. since, ms(change_now(at)), 'WITHSCORES', 'LIMIT', 0, tonumber(limit) + 1 }
local found = redis.call('ZRANGEBYSCORE', at.changes, unpack(range))
local more = #found > 2 * limit and 1 or 0
local upto = more == 1 and found[2 * limit] or change_now(at)
local names, entries = {}, {}
for i = 1, #found - 2 * more, 2 do
  names[#names + 1] = found[i]
end
local texts = #names > 0 and redis.call('HMGET', at.vips, unpack(names)) or {}
for i, name in ipairs(names) do
  entries[#entries + 1] = name
  entries[#entries + 1] = texts[i] or ''
end
return { verdict, ms(era.number), era.memory, ms(tonumber(upto)), more, entries }
