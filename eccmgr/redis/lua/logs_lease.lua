-- Takes the lease of a subscriber for one log of one node, or finds that this manager has it.
--
-- NEEDS  when_full clock pipes
-- KEYS  cluster_state pipe_state pipe sessions
-- ARGV  max_step  subscriber  private name of the manager
-- Answer  {'leased', epoch, the checkpoint ('' for none), the place at the end of the pipe ('' for none)}
--         {'taken', private name of the manager that has it}
-- Invariant  one manager has the lease as long as its session lives. Epochs rise, also on a server that has forgotten
--            some of them.

local cluster_state, state, pipe, sessions = unpack(KEYS)
local max_step, subscriber, private = unpack(ARGV)
local clock, wall = advance(cluster_state, max_step)
local holder, epoch = holder_of(state, subscriber)
redis.call('XLEN', pipe)
if holder ~= private then
  if holder and not is_over(tonumber(redis.call('ZSCORE', sessions, holder) or ''), clock) then
    return { 'taken', holder }
  end
  epoch = math.max(epoch + 1, wall)
  -- It begins with what the pipe holds; what is missing there it asks for.
  redis.call('HSET', state, 'lease:' .. subscriber, private .. ' ' .. ms(epoch), 'has:' .. subscriber,
    ms(counted(state, 'taken')))
  keep_pipe(state)
end
return {
  'leased',
  ms(epoch),
  redis.call('HGET', state, 'at:' .. subscriber) or '',
  redis.call('HGET', state, 'tail') or '',
}
