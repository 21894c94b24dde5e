-- Part of the prelude: what follows from a task that ended, or from what a person asked of a whole job. That can be any number of
-- tasks: a script looks at most at STEPS of them, and puts the rest on a list with which every turn goes on.
--
--   <p>rest           zset    'r:<task>': let go, or cancel, what comes after this ended task; 's:<job>': cancel what waits in
--                             this job; 'm:<job>': give its tasks the job's bin; 't:<job>': give what failed, died or was cancelled
--                             fresh tries; score = since when (ms). Each job counts its own in its field `rest`.
--   <p>rest:at        hash    the same names -> "<next> <end>": where in the list of kids or tasks to go on, and where it ends
--                             (t: which of its two walks it is in)
local left, ALL = @STEPS@, 1000000000
local HELD, FRESH = -1, -2 -- `missing` of a blocked task that a retry holds; FRESH: nobody was told yet that it is blocked

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
    -- One that a retry holds learns from its second walk how this ended.
    if task and task.state == 'blocked' and task.missing >= 0 then
      if met(task.rule, before.state) == 'never' then
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
    if task and is_waiting(task) then move(task, 'cancelled', {code = code}) end
  end
  left = left - #ids
  return #ids
end

-- While a retry goes on, its job counts one more as live: it cannot end, whatever ends in it.
local function end_retry(job)
  if call('HDEL', P .. 'job:' .. job, 'again') == 0 then return end
  is_done(job, 't:' .. job)
  bump(job_of(job), 'live', -1)
  job_of(job).touched = true
end

local function stop_job(job)
  end_retry(job)
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

-- Give tasks of a job its bin: those that wait go to that bin's lines with their places by age, those that run go there when they
-- stop running, and those that ended too, since a retry may bring them back. Replies how many were looked at.
local function move_some(job, from)
  local bin = job_of(job).bin
  local ids = call('LRANGE', P .. 'tasks:' .. job, from, from + left - 1)
  for _, id in ipairs(ids) do
    local task = TASKS[id]
    if not task then -- not all of it, as `load` does: nothing but its place changes
      local its = P .. 'task:' .. id
      local got = call('HMGET', its, 'state', 'line', 'score', 'sort')
      local sort = got[4] and sort_of(got[4])
      local line = got[2] or (sort and sort.line)
      task = sort and {id = id, key = its, state = got[1], bin = string.match(line, '^[^|]*'), line = line, score = tonumber(got[3]) or 0, sort = sort}
    end
    if not task then -- its job names it, and it is not there: the checker says so
    elseif task.state == 'running' then
      task.rebin = task.bin ~= bin and bin
      if task.rebin then call('HSET', task.key, 'rebin', bin) else call('HDEL', task.key, 'rebin') end
    elseif task.bin ~= bin then
      rebin(task, bin)
    end
  end
  left = left - #ids
  return #ids
end

-- A retry walks a job's tasks twice. First, what failed, died or was cancelled is blocked again, with fresh tries, and held like
-- everything that is blocked: nothing of it starts, and nobody counts for it what ends meanwhile.
local function refresh_some(job, from)
  local ids = call('LRANGE', P .. 'tasks:' .. job, from, from + left - 1)
  for _, id in ipairs(ids) do
    local task = load(id)
    if not task then -- as above
    elseif task.state == 'failed' or task.state == 'dead' or task.state == 'cancelled' then
      task.tries, task.lost, task.crashes, task.score = 0, 0, 0, 0
      task.smaller = 0
      if task.last then -- past attempts stay on record
        if call('RPUSH', P .. 'att:' .. id, task.last) >= ATTEMPTS then call('LTRIM', P .. 'att:' .. id, 1 - ATTEMPTS, -1) end
        task.last = nil
      end
      call('HDEL', task.key, 'used', 'last', 'lease', 'predicted', 'ended', 'score')
      avoid(task)
      move(task, 'blocked', {silent = true}, {'missing', FRESH})
      task.missing = FRESH
    elseif task.state == 'blocked' and task.missing >= 0 then
      call('HSET', task.key, 'missing', HELD)
      task.missing = HELD
    end
  end
  left = left - #ids
  return #ids
end

-- Is anything of this job, but its retry, put off? (A count that is damaged holds it up no longer than others' things do.)
local function has_others(job) return job_of(job).counts.rest > 1 and call('ZCARD', P .. 'rest') > 1 end

-- What a held task waits for: how many are still to come, and whether one of them never will. Replies also how many there were.
local function awaited(task)
  local missing, hopeless = 0, false
  local before = cjson.decode(task.after or call('HGET', task.key, 'after') or '[]')
  for _, id in ipairs(before) do
    local answer = met(task.rule, state_of(id))
    if answer == 'no' then missing = missing + 1 end
    if answer == 'never' then hopeless = true end
  end
  return missing, hopeless, #before
end

-- Then everything that is held is counted by what it waits for, and is ready when that has come. What ends here is told at once:
-- who is counted later must not hear of it again.
local function count_some(job, from)
  local seen = 0
  for _, id in ipairs(call('LRANGE', P .. 'tasks:' .. job, from, from + left - 1)) do
    if left <= 0 or has_others(job) then break end
    seen, left = seen + 1, left - 1
    local task = load(id)
    if task and task.state == 'blocked' and task.missing < 0 then
      local missing, hopeless, looked = awaited(task)
      local fresh = task.missing == FRESH
      left, task.missing = left - looked, missing
      if hopeless then
        move(task, 'cancelled', {code = 'PREDECESSOR_FAILED'})
        release()
      elseif missing == 0 then
        move(task, 'ready', nil, {'missing', 0})
      else
        call('HSET', task.key, 'missing', missing)
        if fresh then emit('task.blocked', job, id, {stage = task.stage}) end
      end
    end
  end
  return seen
end

-- A retry goes on when whatever ended in its job has been told to who waits for it: until then it stands back behind that.
local function go_on_with_retry(job, from, walk)
  release()
  if not call('ZSCORE', P .. 'rest', 't:' .. job) then return true end
  if has_others(job) then
    call('ZADD', P .. 'rest', NOW_WORD, 't:' .. job)
    PUT_OFF = true
    left = left - 1
    return true
  end
  local tasks = call('LLEN', P .. 'tasks:' .. job)
  if walk == 1 then
    from = from + refresh_some(job, from)
    if from >= tasks then from, walk = 0, 2 end
  end
  if walk == 2 then from = from + count_some(job, from) end
  if walk == 1 or from < tasks then
    put_off(job, 't:' .. job, from, walk)
    return false
  end
  end_retry(job)
  is_done(job, 't:' .. job) -- also of a job that is not being retried: it would be gone on with for ever
  return true
end

-- Go on with one thing that was put off; false when it is not done yet.
local function go_on_with(name)
  local what, id = string.sub(name, 1, 1), string.sub(name, 3)
  local from, upto = string.match(call('HGET', P .. 'rest:at', name) or '0 0', '^(%d+) (%d+)$')
  from, upto = tonumber(from), tonumber(upto)
  if what == 'r' then
    local before = load(id)
    if before and TERMINAL[before.state] then from = from + let_go(before, from, upto) end
    if before and TERMINAL[before.state] and from < upto then
      put_off(before.job, name, from, upto)
      return false
    end
    is_done(before and before.job or '', name)
    return true
  end
  if what == 't' then return go_on_with_retry(id, from, upto) end
  -- A retry may have brought back a job that was stopped; one that is forgotten has nothing to stop or to move.
  local job = job_of(id)
  local wanted = what == 's' and job.stop or what == 'm' and known(id)
  if wanted then from = from + (what == 's' and stop_some or move_some)(id, from) end
  if wanted and call('LLEN', P .. 'tasks:' .. id) > from then
    put_off(id, name, from, 0)
    return false
  end
  is_done(id, name)
  return true
end

local function go_on()
  while left > 0 do
    local name = call('ZRANGE', P .. 'rest', 0, 0)[1]
    if not name or not go_on_with(name) then return end
  end
end
