-- States the VIPs that a session holds, with their epochs. A session does this in a closed era, after it has joined.
--
-- NEEDS  when_full clock eras
-- KEYS  state vips changes late vip_events audit vip_holds
-- ARGV  ended_prefix  private_name  era seen  memory seen  audit_cap  then for each VIP: address  epoch
-- Answer  {verdict, era, memory, {1 or 0 for each VIP: whether the session keeps it}}
-- Invariant  an open era takes no statement. If two sessions state one VIP, the first keeps it.

local at = {
  state = KEYS[1], vips = KEYS[2], changes = KEYS[3], late = KEYS[4], vip_events = KEYS[5], audit = KEYS[6],
  holds = KEYS[7],
}
local ended_prefix, private, seen, memory, audit_cap = unpack(ARGV, 1, 5)
local era = enter_era(at, seen)
local verdict = verdict_on(at, era, private, memory, ended_prefix)
local kept = {}
if verdict == 'ok' then
  for i = 6, #ARGV, 2 do
    local address, epoch = ARGV[i], tonumber(ARGV[i + 1])
    local record = record_of(at, address) or { owner = '', epoch = 0, era = 0, to = '', reason = '' }
    local free = record.era ~= era.number or record.owner == '' or record.owner == private
    if free and not era.open then
      keep_record(at, address, private, math.max(record.epoch, epoch), era, '', record.owner == private and record.reason or 'stated')
      keep_hold(at, address, private, math.max(record.epoch, epoch), true)
      if record.owner ~= private then
        audit_vip(at, audit_cap, 'stated', address, private, math.max(record.epoch, epoch), 'stated', 'from', node_of(record.owner))
      end
      kept[#kept + 1] = record.epoch <= epoch and 1 or 0
    else
      kept[#kept + 1] = 0
    end
  end
end
end_some_day({ at.audit })
return { verdict, ms(era.number), era.memory, kept }
