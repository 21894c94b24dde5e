-- A pool is gone (it said goodbye, or is known to be dead): its leases are lost and ready again at once; it is forgotten.
-- ARGV: 1 pool.
-- Reply: how many leases were freed.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
local pool = ARGV[1]
local held = call('SMEMBERS', P .. 'held:' .. pool)
table.sort(held)
for _, id in ipairs(held) do
  local task = load(id)
  call('HSET', task.key, 'swept', task.token)
  lose(task, 0)
end
call('HDEL', P .. 'pools', pool)
call('HDEL', P .. 'told', pool)
call('DEL', P .. 'pool:' .. pool)
finale()
return #held
