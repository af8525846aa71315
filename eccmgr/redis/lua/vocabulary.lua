-- Keeps which words the commands of live nodes begin with, for who must tell a command from a mistyped target.
--
-- NEEDS  clock
-- KEYS  state vocabulary
-- ARGV  max_step  for how long a word counts, in ms  how many words are kept at most  a word …
-- Answer  number of the words that count
-- Invariant  a word that no node has said for that long counts no more.

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
