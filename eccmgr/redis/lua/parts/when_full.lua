-- Lets a script run on a server whose memory is full. It is for scripts that free memory, and for those that write only
-- about present members and VIPs.
--
-- Such a server refuses a script's first command that takes memory, unless a write that takes none came before it.
-- KEYS[1] is a hash of ours without a field '', so the HDEL below is such a write.

if KEYS[1] then
  redis.call('HDEL', KEYS[1], '')
end
