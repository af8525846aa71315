-- Grants free VIPs. A session that asks again for a VIP that it owns gets the same epoch.
--
-- NEEDS  when_full clock eras
-- KEYS  state vips changes late vip_events audit vip_holds
-- ARGV  ended_prefix  private_name  era seen  memory seen  node in small letters  audit_cap
--       then for each VIP: address  highest epoch seen  reason  1 to override a reservation that has waited long enough
-- Answer  {verdict, era, memory, {epoch of each VIP, 0 if it is refused}}
-- Invariant  a VIP is granted only in an open era, and only if no live session owns it in this era. Each grant has a
--            higher epoch than the one before it.

local at = {
  state = KEYS[1], vips = KEYS[2], changes = KEYS[3], late = KEYS[4], vip_events = KEYS[5], audit = KEYS[6],
  holds = KEYS[7],
}
local ended_prefix, private, seen, memory, node, audit_cap = unpack(ARGV, 1, 6)
local era = enter_era(at, seen)
local verdict = verdict_on(at, era, private, memory, ended_prefix)
local epochs, changed, again = {}, false, false
local lives = {}
local function is_free(record)
  if record.era ~= era.number or record.owner == '' then
    return true
  end
  if lives[record.owner] == nil then
    lives[record.owner] = counter_of(at, era, record.owner) ~= nil
  end
  return not lives[record.owner]
end

for i = 7, verdict == 'ok' and #ARGV or 0, 4 do
  local address, top, reason, force = unpack(ARGV, i, i + 3)
  local record = record_of(at, address)
  local present = record and record.era == era.number
  local reserved = present and record.to ~= '' and record.to ~= node and force ~= '1'
  local epoch = 0
  if not record then
    -- The record could not be read, so nobody is granted this VIP before the next era.
    changed = true
  elseif present and record.owner == private then
    epoch, again = record.epoch, true
    if reason ~= '' and reason ~= record.reason then
      keep_record(at, address, private, epoch, era, record.to, reason)
      changed = true
    else
      changed = list_again(at, address) or changed
    end
  elseif era.open and is_free(record) and not reserved then
    epoch = math.max(record.epoch, tonumber(top)) + 1
    keep_record(at, address, private, epoch, era, '', reason)
    keep_hold(at, address, private, epoch)
    audit_vip(at, audit_cap, 'granted', address, private, epoch, reason, 'from', node_of(record.owner))
    changed = true
  end
  epochs[#epochs + 1] = ms(epoch)
end
if again and not changed then
  -- On a connection that has written nothing, Valkey answers WAIT at once. A caller that asks again on another
  -- connection would then believe that the replicas have the first grant, though they may not have it. So this write
  -- comes first.
  redis.call('HSET', at.state, 'asked', '1')
elseif changed then
  end_some_day({ at.audit })
  tell_agents(at, 'granted')
end
return { verdict, ms(era.number), era.memory, epochs }
