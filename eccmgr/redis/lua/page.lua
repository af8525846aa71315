-- A part of a hash that may be large.
--
-- KEYS  hash
-- ARGV  where to go on ('0' to begin)  about how many fields to read
-- Answer  {where to go on ('0' where all was read), {field, value, …}}
-- Invariant  what is in the hash all the time is read at least once.

return redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
