-- Opens the era that the caller has watched for so long that every holder of a VIP must have stated it.
--
-- NEEDS  when_full clock eras
-- KEYS  state vips changes late vip_events
-- ARGV  ended_prefix  private_name  era watched  its memory
-- Answer  {verdict, era, memory}
-- Invariant  only the era that was watched is opened.

local at = { state = KEYS[1], vips = KEYS[2], changes = KEYS[3], late = KEYS[4], vip_events = KEYS[5] }
local ended_prefix, private, seen, memory = unpack(ARGV)
local era = enter_era(at, seen)
local verdict = verdict_on(at, era, private, memory, ended_prefix)
if verdict == 'ok' and era.number == tonumber(seen) and not era.open then
  redis.call('HSET', at.state, 'open', '1')
  tell_agents(at, 'open')
end
return { verdict, ms(era.number), era.memory }
