-- Ends a session for ever, which frees its VIPs and ends its membership. The caller has unplumbed all of its VIPs
-- before.
--
-- NEEDS  when_full clock members eras
-- KEYS  state sessions members roster absent absent_since seniority subclusters events vips changes late vip_events
--       audit
-- ARGV  max_step  ended_prefix  private_name  era seen  reason for the end of the membership (lost | leave)
--       audit_cap
-- Answer  {'ok', era, memory}
-- Invariant  a private name that ended is never used again.

local at = {
  state = KEYS[1], sessions = KEYS[2], members = KEYS[3], roster = KEYS[4], absent = KEYS[5],
  absent_since = KEYS[6], seniority = KEYS[7], subclusters = KEYS[8], events = KEYS[9],
  vips = KEYS[10], changes = KEYS[11], late = KEYS[12], vip_events = KEYS[13], audit = KEYS[14],
  audit_cap = ARGV[6],
}
local max_step, ended_prefix, private, seen, reason, audit_cap = unpack(ARGV)
local era = enter_era(at, seen)
local clock = advance(at.state, max_step)
redis.call('XLEN', at.audit)
end_carrier(at, private, ended_prefix, audit_cap, reason, private)
if redis.call('ZSCORE', at.sessions, private) then
  end_sessions(at, { private }, reason, clock)
end
tell_agents(at, 'ended')
return { 'ok', ms(era.number), era.memory }
