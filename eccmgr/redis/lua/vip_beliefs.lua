-- Reads what nodes last stated of their beliefs about VIPs. Most nodes believe the same, which is answered once.
--
-- NEEDS  nothing
-- KEYS  vip_beliefs
-- ARGV  most bytes of one statement  most bytes of all answered beliefs  node in small letters, …
-- Answer  {{packed beliefs, …}, {session of the statement, number of its beliefs, …}}, two words for each node. The
--         number is 0 and the session '' if the node has stated nothing, -1 if its statement was not read: it is too
--         long, or is none of ours.
-- Invariant  the size of the answer does not grow with the nodes that believe the same.

local longest, left = tonumber(ARGV[1]), tonumber(ARGV[2])
local beliefs, numbers, stated = {}, {}, {}
for i = 3, #ARGV do
  local length = redis.pcall('HSTRLEN', KEYS[1], ARGV[i])
  local session, number = '', length == 0 and 0 or -1
  if type(length) == 'number' and length > 0 and length <= longest then
    local said = redis.call('HGET', KEYS[1], ARGV[i])
    local private, from = said:match('^%d+ (%S+) ()')
    local packed = private and said:sub(from)
    if packed and not numbers[packed] and #packed <= left then
      left = left - #packed
      beliefs[#beliefs + 1] = packed
      numbers[packed] = #beliefs
    end
    if packed and numbers[packed] then
      session, number = private, numbers[packed]
    end
  end
  stated[#stated + 1] = session
  stated[#stated + 1] = number
end
return { beliefs, stated }
