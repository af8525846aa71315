-- Releases VIPs that the caller has unplumbed.
--
-- NEEDS  when_full clock eras
-- KEYS  state vips changes late vip_events audit
-- ARGV  ended_prefix  private_name  era seen  memory seen  audit_cap
--       then for each VIP: address  epoch  node in small letters for which it is reserved ('' for none)  reason
-- Answer  {verdict, era, memory}
-- Invariant  a VIP becomes free only if the caller's own session owns it under that very epoch.

local at = {
  state = KEYS[1], vips = KEYS[2], changes = KEYS[3], late = KEYS[4], vip_events = KEYS[5], audit = KEYS[6],
}
local ended_prefix, private, seen, memory, audit_cap = unpack(ARGV, 1, 5)
local era = enter_era(at, seen)
local verdict = verdict_on(at, era, private, memory, ended_prefix)
local changed = false
for i = 6, verdict == 'ok' and #ARGV or 0, 4 do
  local address, epoch, to, reason = unpack(ARGV, i, i + 3)
  local record = record_of(at, address)
  if record and record.owner == private and record.epoch == tonumber(epoch) and record.era == era.number then
    keep_record(at, address, '', record.epoch, era, to, reason)
    audit_vip(at, audit_cap, 'released', address, private, record.epoch, reason, 'to', to)
    changed = true
  end
end
if changed then
  end_some_day({ at.audit })
  tell_agents(at, 'released')
end
return { verdict, ms(era.number), era.memory }
