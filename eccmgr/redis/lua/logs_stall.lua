-- Notes that a subscriber cannot write a log for now, so that it holds up no other subscriber.
--
-- NEEDS  when_full clock pipes
-- KEYS  pipe_state cluster_state pipe sessions
-- ARGV  max_step  subscriber  private name of the manager  epoch
--       the checkpoint with which it begins, if it has none yet ('' otherwise)
-- Answer  {'stalled'}, {'fenced'} (another manager has the lease, or nobody; nothing was done)
-- Invariant  a checkpoint stays. What the pipe no longer holds then, the manager asks for once it can write again.

local state, cluster_state, pipe, sessions = unpack(KEYS)
local max_step, subscriber, private, epoch, checkpoint = unpack(ARGV)
redis.call('XLEN', pipe)
if not holds(state, subscriber, private, epoch) then
  return { 'fenced' }
end
local clock = advance(cluster_state, max_step)
if checkpoint ~= '' then
  redis.call('HSETNX', state, 'at:' .. subscriber, checkpoint)
end
redis.call('HSET', state, 'has:' .. subscriber, STALLED)
trim(state, pipe, sessions, clock)
keep_pipe(state)
return { 'stalled' }
