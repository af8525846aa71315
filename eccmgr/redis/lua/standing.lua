-- Reads which nodes that have not answered a command yet have begun it, and when sessions end.
--
-- NEEDS  clock
-- KEYS  state sessions responses
-- ARGV  max_step  number of nodes  then the names of these nodes in small letters  then private names of sessions
-- Answer  {clock, {entry of each node ('' unless it is running)}, {end of each session on the lease clock ('' without)}}
-- Invariant  this script changes nothing but the lease clock.

-- A longer entry of a running node is not ours.
local LONGEST = 16384

local state, sessions, responses = unpack(KEYS)
local clock = advance(state, ARGV[1], true)
local number = tonumber(ARGV[2])
local entries = number > 0 and redis.call('HMGET', responses, unpack(ARGV, 3, number + 2)) or {}
for i = 1, number do
  local entry = entries[i] or ''
  entries[i] = #entry <= LONGEST and entry:find('running\t', 1, true) == 1 and entry or ''
end
local ends = {}
for i = number + 3, #ARGV do
  ends[#ends + 1] = redis.call('ZSCORE', sessions, ARGV[i]) or ''
end
return { ms(clock), entries, ends }
