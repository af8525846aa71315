-- Gives a lease back, so that another manager may take it at once.
--
-- NEEDS  when_full clock pipes
-- KEYS  pipe_state
-- ARGV  subscriber  private name of the manager  epoch
-- Answer  {'released'}, {'fenced'} (this manager did not have it)
-- Invariant  the checkpoint stays.

local state = KEYS[1]
local subscriber, private, epoch = unpack(ARGV)
if not holds(state, subscriber, private, epoch) then
  return { 'fenced' }
end
-- The epoch stays, so that the next one is higher.
redis.call('HSET', state, 'lease:' .. subscriber, '- ' .. epoch)
keep_pipe(state)
return { 'released' }
