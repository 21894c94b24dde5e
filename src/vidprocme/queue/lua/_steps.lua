-- Part of the prelude: what follows from a task that ended, or from a job that is being stopped. That can be any number of tasks:
-- a script looks at most at STEPS of them, and puts the rest on a list with which every turn goes on.
--
--   <p>rest           zset    'r:<task>': let go, or cancel, what comes after this ended task; 's:<job>': cancel what waits in
--                             this job; score = since when (ms). Each job counts its own in its field `rest`.
--   <p>rest:at        hash    the same names -> "<next> <end>": where in the list of kids or tasks to go on, and where it ends
local left, ALL = @STEPS@, 1000000000

local function put_off(job, name, from, upto)
  PUT_OFF = true
  call('HSET', P .. 'rest:at', name, whole(from) .. ' ' .. whole(upto))
  if call('ZADD', P .. 'rest', 'NX', NOW_WORD, name) == 1 then
    bump(job_of(job), 'rest', 1)
    RUNG = RUNG + 1
  end
end

local function is_done(job, name)
  call('HDEL', P .. 'rest:at', name)
  if call('ZREM', P .. 'rest', name) == 1 and call('EXISTS', P .. 'job:' .. job) == 1 then bump(job_of(job), 'rest', -1) end
end

local function is_waiting(task) return task.state == 'blocked' or task.state == 'ready' or task.state == 'delayed' end

-- Why what waits in a job that is being stopped does not come to run.
local function stop_code(job)
  local got = call('HMGET', P .. 'job:' .. job, 'late', 'cancel')
  return got[1] and 'DEADLINE' or (got[2] and 'CANCELLED' or 'JOB_FAILED')
end

-- Tell kids of a task that it ended. Replies how many were looked at.
local function let_go(before, from, upto)
  local ids = call('LRANGE', P .. 'kids:' .. before.id, from, math.min(upto, from + left) - 1)
  for _, id in ipairs(ids) do
    local task = load(id)
    if task and task.state == 'blocked' then
      if met(task.rule, before) == 'never' then
        move(task, 'cancelled', {code = 'PREDECESSOR_FAILED'})
      elseif stopping(task.job) then
        move(task, 'cancelled', {code = stop_code(task.job)})
      else
        task.missing = call('HINCRBY', task.key, 'missing', -1)
        if task.missing <= 0 then move(task, 'ready') end
      end
    end
  end
  left = left - #ids
  return #ids
end

-- Cancel what waits in a job that is being stopped. Replies how many were looked at.
local function stop_some(job, from)
  local ids = call('LRANGE', P .. 'tasks:' .. job, from, from + left - 1)
  local code = stop_code(job)
  for _, id in ipairs(ids) do
    local task = load(id)
    if is_waiting(task) then move(task, 'cancelled', {code = code}) end
  end
  left = left - #ids
  return #ids
end

local function stop_job(job)
  local seen = left > 0 and stop_some(job, 0) or 0
  if left <= 0 and call('LLEN', P .. 'tasks:' .. job) > seen then put_off(job, 's:' .. job, seen, 0) end
end

-- Iterative: a task that is cancelled is itself one that ended.
function release()
  local at = 1
  while at <= #ENDED or #DOOMED > 0 do
    if #DOOMED > 0 then
      local job = table.remove(DOOMED)
      if not stopping(job) then
        stop(job, 'doom')
        stop_job(job)
      end
    else
      local before = ENDED[at]
      at = at + 1
      local seen = left > 0 and let_go(before, 0, ALL) or 0
      if left <= 0 then
        local kids = call('LLEN', P .. 'kids:' .. before.id)
        if kids > seen then put_off(before.job, 'r:' .. before.id, seen, kids) end
      end
    end
  end
  ENDED = {}
end

-- Go on with one thing that was put off; false when it is not done yet.
local function go_on_with(name)
  local id = string.sub(name, 3)
  local from, upto = string.match(call('HGET', P .. 'rest:at', name) or '0 0', '^(%d+) (%d+)$')
  from, upto = tonumber(from), tonumber(upto)
  if string.sub(name, 1, 1) == 's' then
    -- A retry may have brought the job back; one that is forgotten has nothing that waits.
    local job = job_of(id)
    if job.stop then from = from + stop_some(id, from) end
    if job.stop and call('LLEN', P .. 'tasks:' .. id) > from then
      put_off(id, name, from, 0)
      return false
    end
    is_done(id, name)
  else
    local before = load(id)
    if before and TERMINAL[before.state] then from = from + let_go(before, from, upto) end
    if before and TERMINAL[before.state] and from < upto then
      put_off(before.job, name, from, upto)
      return false
    end
    is_done(before and before.job or '', name)
  end
  return true
end

local function go_on()
  while left > 0 do
    local name = call('ZRANGE', P .. 'rest', 0, 0)[1]
    if not name or not go_on_with(name) then return end
  end
end
