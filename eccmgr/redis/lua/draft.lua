-- Writes some of a plan for a command that is not sent yet: a large set is planned in several steps before the one that
-- sends it, which gives the plan to its command.
--
-- KEYS  state draft
-- ARGV  max_step  command_ttl  names of nodes in small letters, a line each
-- Answer  'drafted'
-- Invariant  a draft that is never sent ends with the time in which its nodes might have begun. No node may begin
--            later than command_ttl after the command is sent.

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
