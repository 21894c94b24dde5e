-- Remove an ended job and everything that is kept for it. Its events and counts stay until they are trimmed.
-- ARGV: 1 job.
-- Reply: 1; 0 when it has not ended; -1 when there is no such job.
local job = ARGV[1]
local key = P .. 'job:' .. job
if call('EXISTS', key) == 0 then return -1 end
if tonumber(call('HGET', key, 'live')) > 0 then return 0 end
for _, id in ipairs(call('LRANGE', P .. 'tasks:' .. job, 0, -1)) do
  local task = load(id)
  leave(task)
  gain('states', task.state, -1)
  call('DEL', task.key, P .. 'kids:' .. id, P .. 'att:' .. id)
end
local name = call('HGET', key, 'key')
if name and call('HGET', P .. 'keys', name) == job then call('HDEL', P .. 'keys', name) end
place(P .. 'jobs', job)
call('DEL', key, P .. 'tasks:' .. job)
emit('job.forgotten', job, nil, {})
flush()
return 1
