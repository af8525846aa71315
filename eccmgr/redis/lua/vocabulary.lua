-- Keeps the first words of the commands of live nodes. Managers need them to tell a command from a mistyped target.
--
-- NEEDS  clock
-- KEYS  state vocabulary
-- ARGV  max_step  ms for which a word is kept  maximum number of words  word …
-- Answer  number of kept words
-- Invariant  a word that no node has given for that time is dropped.

local state, vocabulary = unpack(KEYS)
local max_step, ttl, cap = unpack(ARGV)
local clock = advance(state, max_step)
for i = 4, #ARGV do
  redis.call('ZADD', vocabulary, ms(clock), ARGV[i])
end
redis.call('ZREMRANGEBYSCORE', vocabulary, '-inf', ms(clock - tonumber(ttl)))
redis.call('ZREMRANGEBYRANK', vocabulary, 0, -(tonumber(cap) + 1))
redis.call('PEXPIRE', vocabulary, ttl)
return redis.call('ZCARD', vocabulary)
