-- The prelude of every script: the clock, the one table of transitions, and the functions that may change a task.
-- scripts.py puts it in front of each script and replaces the @NAME@ marks (transitions come from core.job.TRANSITIONS).
--
-- KEYS[1] is the prefix; it holds the one hash tag, so all keys built from it live in one Cluster slot:
--   <p>job:<job>      hash    job (wire JSON), submitted, ended (ms), cancel, doom, live (tasks not ended), n.<state>, uri, mtime, key,
--                             call, bin (where a person moved it), used (jobs that reuse its frames), going (ms: being forgotten)
--   <p>tasks:<job>    list    ids of the job's tasks in planning order
--   <p>task:<task>    hash    spec (wire JSON), job, stage, bin, line, head, rule, fatal, max_tries, max_lost, after (JSON list),
--                             missing (predecessors still to come), state, tries, lost, crashes (deaths of its attempts' own making),
--                             smaller (attempts that ran out of memory), score (us: its place in the line), due (ms),
--                             since (ms: when it became ready last),
--                             token, holder, place, until, started, ended (ms), progress, outcome (wire JSON),
--                             settled (token), how (its Next), swept (token taken by others), call (name of the turn that claimed),
--                             rebin (running: the bin it goes to when it stops running)
--   <p>kids:<task>    list    tasks that come after this one, in planning order
--   <p>att:<task>     list    ended attempts as JSON, oldest first, capped
--   <p>lines          zset    names of lines that hold tasks, score 0
--   <p>line:<name>    zset    ready tasks; score = us since when they could run
--   <p>ready:<job>    zset    this job's ready tasks, the same scores (for a pool that serves some jobs only)
--   <p>delayed        zset    task; score = due ms
--   <p>leases         zset    running task; score = lease's end in ms
--   <p>held:<holder>  set     tasks that this holder runs;  <p>holders  set of holders that have such a set
--   <p>dead           zset    dead task; score = ms
--   <p>jobs, <p>active zset   job; score = submitted us (active: not ended)
--   <p>ended:succeeded, <p>ended:failed  zset  ended jobs that may be trimmed (failed: cancelled ones too); score = ended ms
--   <p>going          zset    jobs that are being forgotten, a few tasks at a time; score = ms
--   <p>trimmed, <p>dead:warned  string  with PX: nothing to trim until then; the warning was said lately
--   <p>keys           hash    idempotency key -> job
--   <p>pools          hash    pool -> PoolInfo JSON
--   <p>pool:<pool>    string  with PX: its presence; holds its last report (wire JSON of PoolReport), or no JSON object
--   <p>told           hash    pool -> its own totals as it last told them (JSON); from join until it is forgotten
--   <p>fence          string  counter of lease tokens
--   <p>ev             stream  events, MAXLEN ~
--   <p>states         hash    tasks by state
--   <p>stat           hash    totals by name (core/counts.py)
--   <p>min:<minute>   hash    `bin|stage|kind|code` -> count, 48 h
--   <p>wake           list    doorbell tokens, at most 64
--   <p>ctl            hash    what persons set, see _shares.lua
local P = KEYS[1]
local call = redis.call
local ALLOWED = @TRANSITIONS@
local TERMINAL = @TERMINAL@
local LOST_OUTCOME = @LOST_OUTCOME@
local EVENTS, ATTEMPTS, WAKE, SERIES_S, LOST_DELAY_MS = @EVENTS@, @ATTEMPTS@, @WAKE@, @SERIES_S@, @LOST_DELAY_MS@
local SWEEP, PROMOTE, POISON = @SWEEP@, @PROMOTE@, @POISON@
local TOOK, WAIT = @TOOK@, @WAIT@ -- upper bounds in ms, see core/counts.py
local CODE, CODE_LENGTH, OTHER, ERRORS = @CODE@, @CODE_LENGTH@, @OTHER@, @ERRORS@

local clock = call('TIME')
local NOW_US = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local NOW = math.floor(NOW_US / 1000)

-- `..` prints 14 digits only; microseconds have 16.
local function whole(number) return string.format('%.0f', number) end

-- Two tasks that become ready in one script keep their order: each gets a microsecond of its own.
local stamps = 0
local function stamp()
  stamps = stamps + 1
  return NOW_US + stamps
end

local FIELDS = {'job', 'stage', 'bin', 'line', 'rule', 'fatal', 'max_tries', 'max_lost', 'after', 'missing', 'state', 'tries',
  'lost', 'crashes', 'smaller', 'score', 'token', 'holder', 'place', 'until', 'started', 'settled', 'call', 'since', 'rebin'}
local TASKS, JOBS, ENDED, DOOMED, RUNG = {}, {}, {}, {}, 0

-- A task as a table shared by the whole script, or nil.
local function load(id)
  if TASKS[id] then return TASKS[id] end
  local got = call('HMGET', P .. 'task:' .. id, unpack(FIELDS))
  if not got[1] then return nil end
  local task = {id = id, key = P .. 'task:' .. id}
  for i, name in ipairs(FIELDS) do task[name] = got[i] end
  for _, name in ipairs({'max_tries', 'max_lost', 'missing', 'tries', 'lost', 'crashes', 'smaller', 'score'}) do
    task[name] = tonumber(task[name]) or 0
  end
  TASKS[id] = task
  return task
end

-- Is this job being stopped: cancelled by a person, or doomed by a task that was fatal to it?
local function stopping(job)
  if JOBS[job] == nil then JOBS[job] = {} end
  if JOBS[job].stop == nil then
    local got = call('HMGET', P .. 'job:' .. job, 'cancel', 'doom', 'bin')
    JOBS[job].stop = (got[1] or got[2]) and true or false
    JOBS[job].bin = got[3]
  end
  return JOBS[job].stop
end

-- Is there such a job, for a person? One that is being forgotten is not.
local function known(job)
  local got = call('HMGET', P .. 'job:' .. job, 'submitted', 'going')
  return got[1] and not got[2]
end

-- The job whose kept frames a job reuses, from its text. (Inside a JSON string each quote has a backslash before it.)
local function reused(text) return string.match(text, '"reuses":"([^"]+)"') end

local function stop(job, field)
  call('HSET', P .. 'job:' .. job, field, NOW)
  JOBS[job] = JOBS[job] or {}
  JOBS[job].stop = true
end

local function emit(kind, job, task, data)
  local line = {'XADD', P .. 'ev', 'MAXLEN', '~', EVENTS, '*', 'kind', kind, 'job', job, 'at', NOW}
  if task then line[#line + 1] = 'task' line[#line + 1] = task end
  for name, value in pairs(data or {}) do
    if value and value ~= '' then line[#line + 1] = name line[#line + 1] = value end
  end
  call(unpack(line))
end

-- Totals are gathered and written once a script: eight attempts of one stage that end together are one write.
local TOTALS, ERROR_TOTALS = {}, {}
local function add(totals, name, n) totals[name] = (totals[name] or 0) + n end

local function observe(name, bounds, value)
  local bucket = #bounds
  for i, bound in ipairs(bounds) do
    if value <= bound then bucket = i - 1 break end
  end
  add(TOTALS, name .. '.' .. bucket, 1)
  add(TOTALS, name .. '.sum', value)
end

local function write_totals()
  for name, n in pairs(TOTALS) do call('HINCRBY', P .. 'stat', name, whole(n)) end
  for name, n in pairs(ERROR_TOTALS) do
    -- Answers n: nobody ever counted under this name. One name too many goes to those without a name.
    local others = string.match(name, '^error%.%a+%.') .. OTHER
    if call('HINCRBY', P .. 'stat', name, n) == n and name ~= others and call('HINCRBY', P .. 'stat', 'errors', 1) > ERRORS then
      call('HDEL', P .. 'stat', name)
      call('HINCRBY', P .. 'stat', 'errors', -1)
      call('HINCRBY', P .. 'stat', others, n)
    end
  end
  TOTALS, ERROR_TOTALS = {}, {}
end

-- One attempt ended: how, after what time, and whether it goes on.
local function count(task, kind, code, again)
  add(TOTALS, 'task.' .. task.stage .. '.' .. kind, 1)
  if kind ~= 'lost' and kind ~= 'cancelled' then
    observe('took.' .. task.stage, TOOK, math.max(0, NOW - (tonumber(task.started) or NOW)))
  end
  if code ~= '' and kind ~= 'ok' and kind ~= 'cancelled' then
    local known = #code <= CODE_LENGTH and string.match(code, CODE)
    add(ERROR_TOTALS, 'error.' .. task.stage .. '.' .. (known and code or OTHER), 1)
  end
  if again then add(TOTALS, 'retry.' .. task.stage, 1) end
  local minute = P .. 'min:' .. math.floor(NOW / 60000)
  call('HINCRBY', minute, task.bin .. '|' .. task.stage .. '|' .. kind .. '|' .. code, 1)
  call('EXPIRE', minute, SERIES_S)
end

-- Give a task that waits or has ended another bin; in a line it keeps its place by age.
local function rebin(task, bin)
  local line = bin .. string.sub(task.line, #task.bin + 1)
  if task.state == 'ready' then
    call('ZREM', P .. 'line:' .. task.line, task.id)
    if call('EXISTS', P .. 'line:' .. task.line) == 0 then call('ZREM', P .. 'lines', task.line) end
    call('ZADD', P .. 'line:' .. line, whole(task.score), task.id)
    call('ZADD', P .. 'lines', 0, line)
    RUNG = RUNG + 1
  end
  task.bin, task.line = bin, line
  call('HSET', task.key, 'bin', bin, 'line', line)
end

-- Every state has one place. leave and enter are the only code that knows it.
local function leave(task)
  local state = task.state
  if state == 'ready' then
    call('ZREM', P .. 'line:' .. task.line, task.id)
    call('ZREM', P .. 'ready:' .. task.job, task.id)
    if call('EXISTS', P .. 'line:' .. task.line) == 0 then call('ZREM', P .. 'lines', task.line) end
  elseif state == 'delayed' then
    call('ZREM', P .. 'delayed', task.id)
    call('HDEL', task.key, 'due')
  elseif state == 'running' then
    call('ZREM', P .. 'leases', task.id)
    call('SREM', P .. 'held:' .. task.holder, task.id)
    if call('EXISTS', P .. 'held:' .. task.holder) == 0 then call('SREM', P .. 'holders', task.holder) end
    call('HDEL', task.key, 'holder', 'until', 'progress', 'call', 'rebin')
  elseif state == 'dead' then
    call('ZREM', P .. 'dead', task.id)
  end
end

local function enter(task, state, info)
  if state == 'ready' then
    if task.score == 0 then task.score = stamp() end
    call('ZADD', P .. 'line:' .. task.line, whole(task.score), task.id)
    call('ZADD', P .. 'ready:' .. task.job, whole(task.score), task.id)
    call('ZADD', P .. 'lines', 0, task.line)
    task.since = NOW
    call('HSET', task.key, 'score', whole(task.score), 'since', NOW)
    RUNG = RUNG + 1
  elseif state == 'delayed' then
    call('ZADD', P .. 'delayed', info.due, task.id)
    call('HSET', task.key, 'due', info.due, 'score', whole(task.score))
  elseif state == 'running' then
    call('ZADD', P .. 'leases', info['until'], task.id)
    call('SADD', P .. 'held:' .. task.holder, task.id)
    call('SADD', P .. 'holders', task.holder)
  elseif state == 'dead' then
    call('ZADD', P .. 'dead', NOW, task.id)
  end
  if TERMINAL[state] and not info.given_up then
    call('HSET', task.key, 'ended', NOW)
    ENDED[#ENDED + 1] = task
    if (state == 'failed' or state == 'dead') and task.fatal == '1' then DOOMED[#DOOMED + 1] = task.job end
  end
end

-- The one way a task changes its state. `info`: due, until (ms), and for the event holder, token, outcome, code; given_up: it had
-- ended before, and nothing follows from it.
local function move(task, to, info)
  info = info or {}
  local from = task.state
  if not (ALLOWED[from] and ALLOWED[from][to]) then
    error('transition ' .. from .. ' -> ' .. to .. ' of ' .. task.id .. ' is not in the table')
  end
  leave(task)
  task.state = to
  if task.rebin and from == 'running' then
    rebin(task, task.rebin)
    task.rebin = nil
  end
  call('HSET', task.key, 'state', to)
  enter(task, to, info)
  local job = P .. 'job:' .. task.job
  call('HINCRBY', job, 'n.' .. from, -1)
  call('HINCRBY', job, 'n.' .. to, 1)
  call('HINCRBY', P .. 'states', from, -1)
  call('HINCRBY', P .. 'states', to, 1)
  local change = (TERMINAL[from] and 1 or 0) - (TERMINAL[to] and 1 or 0)
  if change ~= 0 then call('HINCRBY', job, 'live', change) end
  JOBS[task.job] = JOBS[task.job] or {}
  JOBS[task.job].touched = true
  emit('task.' .. to, task.job, task.id,
    {stage = task.stage, holder = info.holder, token = info.token, outcome = info.outcome, code = info.code, place = info.place,
      poison = info.poison})
end

-- Is this predecessor's part done for a task with this rule? 'yes', 'no' (still to come) or 'never'.
local function met(rule, before)
  if not before or not TERMINAL[before.state] then return 'no' end
  if rule == 'settled' or before.state == 'succeeded' then return 'yes' end
  return 'never'
end

-- A new task (ids that exist are left alone: false). `meta` is made by redis.py.
local function insert(id, spec, meta, job)
  if call('EXISTS', P .. 'task:' .. id) == 1 then return false end
  local missing, hopeless = 0, stopping(job)
  local bin = JOBS[job].bin or meta.bin -- the job was moved since this was planned
  local line = bin .. string.sub(meta.line, #meta.bin + 1)
  for _, before in ipairs(meta.after) do
    call('RPUSH', P .. 'kids:' .. before, id)
    local answer = met(meta.rule, load(before))
    if answer == 'no' then missing = missing + 1 end
    if answer == 'never' then hopeless = true end
  end
  local state = hopeless and 'cancelled' or (missing == 0 and 'ready' or 'blocked')
  call('HSET', P .. 'task:' .. id, 'spec', spec, 'job', job, 'stage', meta.stage, 'bin', bin, 'line', line,
    'head', meta.head, 'rule', meta.rule, 'fatal', meta.fatal, 'max_tries', meta.tries, 'max_lost', meta.lost,
    'after', cjson.encode(meta.after), 'missing', missing, 'state', state, 'tries', 0, 'lost', 0)
  call('RPUSH', P .. 'tasks:' .. job, id)
  call('HINCRBY', P .. 'job:' .. job, 'n.' .. state, 1)
  call('HINCRBY', P .. 'states', state, 1)
  if not TERMINAL[state] then call('HINCRBY', P .. 'job:' .. job, 'live', 1) end
  local task = load(id)
  enter(task, state, {})
  emit('task.' .. state, job, id, {stage = task.stage})
  return true
end

-- Let go, or cancel, what came after the tasks that ended in this script; cancel what waits in doomed jobs. Iterative: a
-- cancelled task is itself one that ended.
local function release()
  local at = 1
  while at <= #ENDED or #DOOMED > 0 do
    if #DOOMED > 0 then
      local job = table.remove(DOOMED)
      if not stopping(job) then
        stop(job, 'doom')
        for _, id in ipairs(call('LRANGE', P .. 'tasks:' .. job, 0, -1)) do
          local task = load(id)
          if task.state == 'blocked' or task.state == 'ready' or task.state == 'delayed' then
            move(task, 'cancelled', {code = 'JOB_FAILED'})
          end
        end
      end
    else
      local before = ENDED[at]
      at = at + 1
      for _, id in ipairs(call('LRANGE', P .. 'kids:' .. before.id, 0, -1)) do
        local task = load(id)
        if task and task.state == 'blocked' then
          if met(task.rule, before) == 'never' then
            move(task, 'cancelled', {code = 'PREDECESSOR_FAILED'})
          else
            task.missing = call('HINCRBY', task.key, 'missing', -1)
            if task.missing <= 0 then move(task, 'ready') end
          end
        end
      end
    end
  end
  ENDED = {}
end

-- Jobs whose last task ended in this script: say so once.
local function close_jobs()
  for job, seen in pairs(JOBS) do
    local key = P .. 'job:' .. job
    if seen.touched and tonumber(call('HGET', key, 'live')) == 0 and call('HSETNX', key, 'ended', NOW) == 1 then
      local n = call('HMGET', key, 'n.failed', 'n.dead', 'n.cancelled', 'used')
      local state = 'succeeded'
      if (tonumber(n[1]) or 0) + (tonumber(n[2]) or 0) > 0 then state = 'failed'
      elseif (tonumber(n[3]) or 0) > 0 then state = 'cancelled' end
      call('ZREM', P .. 'active', job)
      if not n[4] then call('ZADD', P .. 'ended:' .. (state == 'succeeded' and state or 'failed'), NOW, job) end
      add(TOTALS, 'job.' .. state, 1)
      emit('job.ended', job, nil, {state = state})
    end
  end
end

local function ring()
  local room = WAKE - call('LLEN', P .. 'wake')
  for _ = 1, math.min(room, RUNG) do call('LPUSH', P .. 'wake', '1') end
end

-- Every script that moves tasks ends with this.
local function finale()
  release()
  close_jobs()
  write_totals()
  ring()
end

-- The end of one attempt, whoever says it. `next` as in queue.base.Next; `delay` in ms; `marks`: 'c' it was a crash of its own
-- making, 's' the next one is to need less memory.
local function finish(task, next, outcome, kind, code, delay, marks)
  local token, holder, number = task.token, task.holder, task.tries + 1
  -- Decided before the first write: an error must leave nothing half done.
  if next == 'succeed' or next == 'retry' or next == 'fail' then task.tries = task.tries + 1 end
  if next == 'lost' then task.lost = task.lost + 1 end
  local crashed, smaller = string.find(marks, 'c', 1, true), string.find(marks, 's', 1, true)
  if crashed then task.crashes = task.crashes + 1 end
  if smaller then task.smaller = task.smaller + 1 end
  local poison = crashed and task.crashes >= POISON
  local to
  if next == 'succeed' then to = 'succeeded'
  elseif next == 'fail' then to = 'failed'
  elseif next == 'cancel' then to = 'cancelled'
  elseif next == 'retry' then to = (poison or task.tries >= task.max_tries) and 'dead' or 'delayed'
  elseif next == 'lost' then to = task.lost > task.max_lost and 'dead' or (delay > 0 and 'delayed' or 'ready')
  elseif next == 'hand_back' then to = 'ready'
  else error('unknown end of an attempt: ' .. tostring(next)) end
  if (to == 'delayed' or to == 'ready') and stopping(task.job) then to = 'cancelled' end
  call('RPUSH', P .. 'att:' .. task.id, cjson.encode({token = token, number = number, holder = holder,
    place = task.place, started = task.started, ended = whole(NOW), next = next, outcome = outcome}))
  call('LTRIM', P .. 'att:' .. task.id, -ATTEMPTS, -1)
  -- What was lost or handed back keeps its place in the line; a failure goes to its end.
  if next == 'retry' then task.score = 0 end
  call('HSET', task.key, 'tries', task.tries, 'lost', task.lost, 'outcome', outcome, 'settled', token, 'how', next)
  if crashed then call('HSET', task.key, 'crashes', task.crashes) end
  if smaller then call('HSET', task.key, 'smaller', task.smaller) end
  task.settled = token
  -- What was handed back ended by nobody's fault but its pool's, which was told to stop: it counts as nothing.
  if next ~= 'hand_back' then count(task, kind, code, next == 'retry' and to == 'delayed') end
  move(task, to, {due = NOW + delay, holder = holder, token = token, outcome = kind, code = code,
    poison = to == 'dead' and poison and '1'})
end

local function lose(task, delay)
  finish(task, 'lost', LOST_OUTCOME, 'lost', 'POOL_LOST', delay, '')
end

local function holds(task, holder, token)
  return task ~= nil and task.state == 'running' and task.holder == holder and task.token == token
end
