-- Adds one entry to the audit.
--
-- NEEDS  clock
-- KEYS  audit
-- ARGV  audit_cap  then the fields of the entry, each with its value
-- Answer  {'kept'}
-- Invariant  the audit keeps no more than about audit_cap entries.

local audit = KEYS[1]
redis.call('XLEN', audit)
append(audit, 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, 2))
end_some_day({ audit })
return { 'kept' }
