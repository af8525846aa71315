-- Keeps a statement of a node about its VIPs, or one about the node, for every agent to read.
--
-- NEEDS  when_full clock eras
-- KEYS  state vips changes late vip_events
-- ARGV  era seen  name (@node: its VIPs; ~node: the VIPs that it cannot carry; !node: it is drained)  text ('' for
--       none)
-- Answer  number of the change

local at = { state = KEYS[1], vips = KEYS[2], changes = KEYS[3], late = KEYS[4], vip_events = KEYS[5] }
local seen, name, text = unpack(ARGV)
enter_era(at, seen)
if (redis.call('HGET', at.vips, name) or '') ~= text then
  redis.call('HSET', at.vips, name, text)
  next_change(at, name)
  tell_agents(at, 'said')
elseif text ~= '' and list_again(at, name) then
  tell_agents(at, 'said')
end
return ms(change_now(at))
