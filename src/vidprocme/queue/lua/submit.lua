-- Put jobs with their first tasks in, each of them whole or not at all.
-- ARGV: per job: id, job (wire JSON), idempotency key or '', name of this call (said again: the same answer), number of tasks,
--   and per task what task_at says.
-- Reply: per job two words: 1, job: new; 0, job: that job has the key, or the id; -1, task: an unknown predecessor;
--   -2, job: whose frames it wants to reuse is not there any more.
local function submit(job, text, key, name, from, upto)
  if key ~= '' then
    local other = call('HGET', P .. 'keys', key)
    if other and other ~= job then return 0, other end
  end
  if JOBS[job] or call('EXISTS', P .. 'job:' .. job) == 1 then
    local said = JOBS[job] and JOBS[job].name or call('HGET', P .. 'job:' .. job, 'call')
    return said == name and 1 or 0, job
  end
  local base = reused(text)
  if base and not known(base) then return -2, base end
  local mine, new = {}, {}
  for at = from, upto, TASK_WORDS do
    mine[ARGV[at]] = true
    new[#new + 1] = task_at(at)
  end
  for _, task in ipairs(new) do
    for _, before in ipairs(task.after) do
      if not mine[before] and not state_of(before) then return -1, before end
    end
  end
  -- The first write: on a full server it is refused, and nothing has happened.
  emit('job.submitted', job, nil, {})
  if key ~= '' then call('HSET', P .. 'keys', key, job) end
  new_job(job, text, {'job', text, 'submitted', NOW, 'key', key, 'call', name})
  JOBS[job].name = name
  if base then -- it must not be trimmed before this one
    call('HINCRBY', P .. 'job:' .. base, 'used', 1)
    place(P .. 'ended:succeeded', base)
    place(P .. 'ended:failed', base)
  end
  local score = whole(stamp())
  place(P .. 'jobs', job, score)
  place(P .. 'active', job, score)
  local deadline = deadline_of(text)
  if deadline > 0 then place(P .. 'deadlines', job, whole(deadline)) end
  add(TOTALS, 'job.submitted', 1)
  for _, task in ipairs(new) do insert(task, job) end
  return 1, job
end

local answers, at = {}, 1
while at <= #ARGV do
  local from = at + 5
  local next_job = from + TASK_WORDS * tonumber(ARGV[at + 4])
  answers[#answers + 1], answers[#answers + 2] = submit(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], from, next_job - 1)
  at = next_job
end
finale()
return answers
