-- Takes over a session that did not renew while the caller watched it: ends the session, which frees its VIPs.
--
-- NEEDS  when_full clock members eras
-- KEYS  state sessions members roster absent absent_since seniority subclusters events vips changes late vip_events
--       audit
-- ARGV  max_step  ended_prefix  private_name  era seen  memory seen  watched session  its counter  audit_cap
-- Answer  {verdict, era, memory}
-- Invariant  a session whose counter has moved goes on. In a closed era no session is ended.

local at = {
  state = KEYS[1], sessions = KEYS[2], members = KEYS[3], roster = KEYS[4], absent = KEYS[5],
  absent_since = KEYS[6], seniority = KEYS[7], subclusters = KEYS[8], events = KEYS[9],
  vips = KEYS[10], changes = KEYS[11], late = KEYS[12], vip_events = KEYS[13], audit = KEYS[14],
  audit_cap = ARGV[8],
}
local max_step, ended_prefix, private, seen, memory, watched, counter, audit_cap = unpack(ARGV)
local era = enter_era(at, seen)
local clock = advance(at.state, max_step)
redis.call('XLEN', at.audit)
local verdict = verdict_on(at, era, private, memory, ended_prefix)
if verdict == 'ok' and era.open and counter_of(at, era, watched) == tonumber(counter) then
  end_carrier(at, watched, ended_prefix, audit_cap, 'taken over', private)
  if redis.call('ZSCORE', at.sessions, watched) then
    end_sessions(at, { watched }, 'lost', clock)
  end
  tell_agents(at, 'ended')
end
return { verdict, ms(era.number), era.memory }
