-- Adds lines of one daemon's account to the audit.
--
-- NEEDS  clock
-- KEYS  audit
-- ARGV  audit_cap  the daemon  then for each line: how many equal ones there were  the line
-- Answer  {'kept'}
-- Invariant  the audit keeps the order of a daemon's lines, and no more than about audit_cap entries.

local audit = KEYS[1]
local audit_cap, by = unpack(ARGV, 1, 2)
redis.call('XLEN', audit)
for i = 3, #ARGV, 2 do
  append(audit, 'MAXLEN', '~', audit_cap, '*', 'what', 'account', 'by', by, 'times', ARGV[i], 'line', ARGV[i + 1])
end
end_some_day({ audit })
return { 'kept' }
