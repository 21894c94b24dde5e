-- Extend the leases and the presence of one pool.
-- ARGV: 1 holder, 2 lease ms, 3 presence ms, 4.. per lease: task, token, progress (0..1) or ''.
-- Reply: {lost tasks' positions (from 1), positions to cancel}. A lease that was settled a moment ago is in neither.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
local holder, lease_ms = ARGV[1], tonumber(ARGV[2])
call('SET', P .. 'pool:' .. holder, NOW, 'PX', ARGV[3])
local lost, cancel, position = {}, {}, 0
for i = 4, #ARGV, 3 do
  position = position + 1
  local task = load(ARGV[i])
  if holds(task, holder, ARGV[i + 1]) then
    call('ZADD', P .. 'leases', NOW + lease_ms, task.id)
    call('HSET', task.key, 'until', NOW + lease_ms)
    if ARGV[i + 2] ~= '' then call('HSET', task.key, 'progress', ARGV[i + 2]) end
    if stopping(task.job) then cancel[#cancel + 1] = position end
  elseif not (task and task.settled == ARGV[i + 1]) or call('HGET', task.key, 'swept') == ARGV[i + 1] then
    lost[#lost + 1] = position
  end
end
return {lost, cancel}
