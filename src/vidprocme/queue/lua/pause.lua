-- with _said
-- Pause a bin, or let it go on. What runs is not touched; what waits keeps its place.
-- ARGV: 1 bin, 2 '1' to pause, '0' to resume, 3 name of this call.
-- Reply: 1; 0 when it was so already.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
local bin, field = ARGV[1], 'paused|' .. ARGV[1]
local before = answered(ARGV[3])
if before then return before end
if ARGV[2] == '1' then
  if call('HSETNX', P .. 'ctl', field, NOW) == 0 then return 0 end
  emit('bin.paused', '', nil, {bin = bin})
else
  if call('HDEL', P .. 'ctl', field) == 0 then return 0 end
  emit('bin.resumed', '', nil, {bin = bin})
  -- Every pool may have slept beside the tasks that are free again.
  RUNG = call('HLEN', P .. 'pools')
end
ring()
return answer(ARGV[3], 1)
