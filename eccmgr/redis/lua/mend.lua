-- Drops keys that hold another kind of value than we write: everything that needs them would be refused for ever.
--
-- NEEDS  nothing
-- KEYS  key …
-- ARGV  the kind that each is to be, as TYPE says it …
-- Answer  {key, the kind that it was, …} of those that were dropped
-- Invariant  a key of its own kind is left alone.

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
