-- A member leaves: its session ends, and from now on no command expects it.
--
-- NEEDS  when_full clock members
-- KEYS  state sessions members roster absent absent_since seniority subclusters events audit
-- ARGV  max_step  private_name  audit_cap
-- Answer  'left', or 'ended' if the session had ended before

local at = {
  state = KEYS[1], sessions = KEYS[2], members = KEYS[3], roster = KEYS[4], absent = KEYS[5],
  absent_since = KEYS[6], seniority = KEYS[7], subclusters = KEYS[8], events = KEYS[9],
  audit = KEYS[10], audit_cap = ARGV[3],
}
local max_step, private = unpack(ARGV)
local clock = advance(at.state, max_step)
redis.call('XLEN', at.audit)
if not redis.call('ZSCORE', at.sessions, private) then
  return 'ended'
end
end_sessions(at, { private }, 'leave', clock)
return 'left'
