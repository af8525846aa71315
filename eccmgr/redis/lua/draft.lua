-- Writes a part of a plan before its command is sent. The plan of a large set takes several of these calls; publish.lua
-- then gives the draft to the command.
--
-- NEEDS  clock commands
-- KEYS  state draft
-- ARGV  max_step  command_ttl  names of nodes in small letters, a line each
-- Answer  'drafted'
-- Invariant  a draft whose command is never sent is gone after command_ttl. No node may begin the command later than
--            command_ttl after it is sent.

local state, draft = unpack(KEYS)
local max_step, command_ttl, names = unpack(ARGV)
local clock = advance(state, max_step)
local nodes = {}
for node in names:gmatch('[^\n]+') do
  nodes[#nodes + 1] = node
end
add_to_plan(draft, nodes, ms(clock + tonumber(command_ttl)))
redis.call('PEXPIRE', draft, command_ttl)
return 'drafted'
