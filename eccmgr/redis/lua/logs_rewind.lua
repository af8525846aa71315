-- Asks the node of a log to send it again from a place on, because the pipe does not hold what follows that place.
--
-- NEEDS  when_full clock pipes
-- KEYS  pipe_state pipe
-- ARGV  subscriber  private name of the manager  epoch  place
--       the time at which what was read up to there had changed last (wall clock, 0 if unknown)
-- Answer  {'rewound'}, {'fenced'} (another manager has the lease, or nobody; nothing was done)
-- Invariant  the pipe is empty, and ends at the place. The node's next record does not begin there, so the node learns
--            of it.

local state, pipe = unpack(KEYS)
local subscriber, private, epoch, place, since = unpack(ARGV)
redis.call('XLEN', pipe)
if not holds(state, subscriber, private, epoch) then
  return { 'fenced' }
end
redis.call('UNLINK', pipe)
local sent = ms(counted(state, 'sent'))
redis.call('HSET', state, 'tail', place, 'since', since, 'taken', sent, 'sent', sent, 'has:' .. subscriber, sent)
keep_pipe(state)
return { 'rewound' }
