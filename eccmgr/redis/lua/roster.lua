-- The number of the view of now; its nodes are kept under that number for whoever does not know them yet.
--
-- NEEDS  clock members
-- KEYS  state roster absent
-- ARGV  max_step  view_prefix  ttl of a kept view in ms  the view that the caller has, BORN:NUMBER ('' for none)
-- Answer  {view, when the numbering of views began}
-- Invariant  a view that the caller does not have is kept, and can be read a page at a time (page.lua): it changes no
--            more.

local at = { state = KEYS[1], roster = KEYS[2], absent = KEYS[3] }
local max_step, view_prefix, ttl, known = unpack(ARGV)
advance(at.state, max_step, true)
local view, born = view_now(at.state)
if known ~= born .. ':' .. view then
  keep_view(at, view, born, view_prefix, ttl)
end
return { view, born }
