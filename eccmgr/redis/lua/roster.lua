-- The nodes that the cluster knows now.
--
-- KEYS  state roster absent
-- ARGV  max_step  view_prefix  ttl of a kept roster in ms  views that the caller has
-- Answer  {view, its roster, or '' where the caller has it}

local at = { state = KEYS[1], roster = KEYS[2], absent = KEYS[3] }
local max_step, view_prefix, ttl, known = unpack(ARGV)
advance(at.state, max_step)
local view = current_view(at.state)
return { ms(view), holds(known, at.state, view) and '' or roster_of(at, view, view_prefix, ttl) }
