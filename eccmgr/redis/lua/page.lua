-- Reads a page of a large hash.
--
-- NEEDS  nothing
-- KEYS  hash
-- ARGV  cursor ('0' to begin)  approximate number of fields to read
-- Answer  {next cursor ('0' if all was read), {field, value, …}}
-- Invariant  a field that stays in the hash throughout is read at least once.

return redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
