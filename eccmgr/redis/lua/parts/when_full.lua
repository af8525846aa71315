-- Lets a script run on a server whose memory is full: for what frees memory, or keeps no more than the members and VIPs
-- that there are.
--
-- Such a server refuses the first command of a script that takes memory, unless one that takes none has written before
-- it. KEYS[1] is a hash of ours, in which no field has the name ''.

if KEYS[1] then
  redis.call('HDEL', KEYS[1], '')
end
