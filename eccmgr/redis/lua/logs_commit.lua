-- Moves the checkpoint of a subscriber, once what comes before it is on the manager's disk.
--
-- NEEDS  when_full clock pipes
-- KEYS  pipe_state cluster_state pipe sessions
-- ARGV  max_step  subscriber  private name of the manager  epoch  the checkpoint
--       the bytes that had gone into the pipe with the last record that is written
-- Answer  {'kept'}, {'fenced'} (another manager has the lease, or nobody; nothing was done)
-- Invariant  only who has the lease moves a checkpoint.

local state, cluster_state, pipe, sessions = unpack(KEYS)
local max_step, subscriber, private, epoch, checkpoint, has = unpack(ARGV)
redis.call('XLEN', pipe)
if not holds(state, subscriber, private, epoch) then
  return { 'fenced' }
end
local clock = advance(cluster_state, max_step)
redis.call('HSET', state, 'at:' .. subscriber, checkpoint, 'has:' .. subscriber, has)
trim(state, pipe, sessions, clock)
keep_pipe(state)
return { 'kept' }
