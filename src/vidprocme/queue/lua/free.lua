-- A pool is gone (it said goodbye, or is known to be dead): its leases are lost and ready again at once; it is forgotten. Of many
-- leases it takes several calls, or the turns of other pools do the rest: its presence is over from the first one on.
-- ARGV: 1 pool.
-- Reply: {how many leases were freed, 1 when there are more: call again, else 0}.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
local pool = ARGV[1]
local from = 'held:' .. pool
call('DEL', P .. 'pool:' .. pool)
local held = call('SMEMBERS', P .. from)
table.sort(held)
local freed = 0
for i = 1, math.min(#held, FREE) do
  local task = load(held[i])
  if task and task.state == 'running' and task.holder == pool then
    call('HSET', task.key, 'swept', task.token)
    lose(task, 0)
    freed = freed + 1
  else
    cast_out(from, held[i])
  end
end
local more = #held > FREE
if not more then
  call('HDEL', P .. 'pools', pool)
  call('HDEL', P .. 'told', pool)
  let_go_of(pool)
end
finale()
return {freed, more and 1 or 0}
