-- Drops keys that hold a wrong kind of value. While such a key stands, Redis refuses every script that
-- needs it.
--
-- NEEDS  nothing
-- KEYS  key …
-- ARGV  the right kind of each key, in the words of TYPE …
-- Answer  {dropped key, its kind, …}
-- Invariant  a key of the right kind stays.

local dropped = {}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= ARGV[i] then
    redis.call('UNLINK', key)
    dropped[#dropped + 1] = key
    dropped[#dropped + 1] = kind
  end
end
return dropped
