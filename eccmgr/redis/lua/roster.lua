-- Answers the number of the current view, and keeps the view's nodes under that number for callers that do not have
-- them.
--
-- NEEDS  clock members
-- KEYS  state roster absent
-- ARGV  max_step  view_prefix  ttl of a kept view in ms  the view that the caller has, BORN:NUMBER ('' for none)
-- Answer  {view, when the numbering of views began}
-- Invariant  a view that the caller does not have is kept. It no longer changes, so it can be read page by page
--            (page.lua).

local at = { state = KEYS[1], roster = KEYS[2], absent = KEYS[3] }
local max_step, view_prefix, ttl, known = unpack(ARGV)
advance(at.state, max_step, true)
local view, born = view_now(at.state)
if known ~= born .. ':' .. view then
  keep_view(at, view, born, view_prefix, ttl)
end
return { view, born }
