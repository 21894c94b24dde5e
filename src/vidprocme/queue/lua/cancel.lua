-- Cancel a job: what waits ends at once; what runs learns it from its beat.
-- ARGV: 1 job.
-- Reply: 1; 0 when it had already ended; -1 when there is no such job.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
local job = ARGV[1]
local key = P .. 'job:' .. job
if not known(job) then return -1 end
if tonumber(call('HGET', key, 'live')) == 0 then return 0 end
if call('HEXISTS', key, 'cancel') == 0 then emit('job.cancelled', job, nil, {}) end
stop(job, 'cancel')
for _, id in ipairs(call('LRANGE', P .. 'tasks:' .. job, 0, -1)) do
  local task = load(id)
  if task.state == 'blocked' or task.state == 'ready' or task.state == 'delayed' then
    move(task, 'cancelled', {code = 'CANCELLED'})
  end
end
finale()
return 1
