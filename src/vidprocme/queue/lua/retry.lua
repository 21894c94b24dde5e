-- Give a job's failed, dead and cancelled tasks fresh tries. Succeeded ones are never touched; past attempts stay on record.
-- ARGV: 1 job.
-- Reply: how many tasks got fresh tries; -1 when there is no such job.
local job = ARGV[1]
local key = P .. 'job:' .. job
if not known(job) then return -1 end
-- What was put off of this job is done first: afterwards everything is counted anew.
left = ALL
for _, name in ipairs(call('ZRANGE', P .. 'rest', 0, -1)) do
  local task = string.sub(name, 1, 1) == 'r' and load(string.sub(name, 3))
  if name == 's:' .. job or (task and task.job == job) then go_on_with(name) end
end
release()
local fresh, waiting = {}, {}
for _, id in ipairs(call('LRANGE', P .. 'tasks:' .. job, 0, -1)) do
  local task = load(id)
  if task.state == 'failed' or task.state == 'dead' or task.state == 'cancelled' then fresh[#fresh + 1] = task
  elseif task.state == 'blocked' then waiting[#waiting + 1] = task end
end
if #fresh == 0 then
  finale()
  return 0
end
call('HDEL', key, 'cancel', 'doom', 'late', 'ended')
job_of(job).stop, job_of(job).ended = false, false
place(P .. 'ended:succeeded', job)
place(P .. 'ended:failed', job)
place(P .. 'active', job, call('ZSCORE', P .. 'jobs', job))
emit('job.retried', job, nil, {tasks = #fresh})

-- First who is fresh, then who waits for whom: a predecessor that is fresh itself is still to come.
local is_fresh = {}
for _, task in ipairs(fresh) do is_fresh[task.id] = true end
local function still_missing(task)
  local missing = 0
  for _, id in ipairs(cjson.decode(call('HGET', task.key, 'after') or '[]')) do
    if is_fresh[id] or met(task.rule, load(id)) ~= 'yes' then missing = missing + 1 end
  end
  return missing
end
for _, task in ipairs(waiting) do call('HSET', task.key, 'missing', still_missing(task)) end
local missing = {}
for i, task in ipairs(fresh) do missing[i] = still_missing(task) end
for i, task in ipairs(fresh) do
  task.tries, task.lost, task.crashes, task.score, task.missing = 0, 0, 0, 0, missing[i]
  call('HSET', task.key, 'missing', missing[i])
  if task.last then
    call('RPUSH', P .. 'att:' .. task.id, task.last)
    task.last = nil
  end
  call('HDEL', task.key, 'used', 'last', 'lease', 'ended', 'score')
  if task.smaller > 0 then call('HSET', task.key, 'used', '0 0 0 ' .. task.smaller) end
  avoid(task)
  move(task, missing[i] == 0 and 'ready' or 'blocked')
end
finale()
return #fresh
