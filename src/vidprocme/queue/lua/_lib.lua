-- The prelude of every script: the clock, the one table of transitions, and the functions that may change a task.
-- scripts.py puts it in front of each script and replaces the @NAME@ marks (transitions come from core.job.TRANSITIONS).
--
-- KEYS[1] is the prefix; it holds the one hash tag, so all keys built from it live in one Cluster slot:
--   <p>job:<job>      hash    job (wire JSON), submitted, ended (ms), cancel, doom, live (tasks not ended), n.<state>, uri, mtime, key, call
--   <p>tasks:<job>    list    ids of the job's tasks in planning order
--   <p>task:<task>    hash    spec (wire JSON), job, stage, bin, line, head, rule, fatal, max_tries, max_lost, after (JSON list),
--                             missing (predecessors still to come), state, tries, lost, score (us: its place in the line), due (ms),
--                             since (ms: when it became ready last),
--                             token, holder, place, until, started, ended (ms), progress, outcome (wire JSON),
--                             settled (token), how (its Next), swept (token taken by others), call (name of the turn that claimed)
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
local P = KEYS[1]
local call = redis.call
local ALLOWED = @TRANSITIONS@
local TERMINAL = @TERMINAL@
local LOST_OUTCOME = @LOST_OUTCOME@
local EVENTS, ATTEMPTS, WAKE, SERIES_S, LOST_DELAY_MS = @EVENTS@, @ATTEMPTS@, @WAKE@, @SERIES_S@, @LOST_DELAY_MS@
local SWEEP, PROMOTE = @SWEEP@, @PROMOTE@
local TOOK, WAIT = @TOOK@, @WAIT@ -- upper bounds in ms, see core/counts.py
local CODE, CODE_LENGTH, OTHER, ERRORS = @CODE@, @CODE_LENGTH@, @OTHER@, @ERRORS@

local clock = call('TIME')
local NOW_US = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local NOW = math.floor(NOW_US / 1000)

-- `..` prints 14 digits only; microseconds have 16.
local function whole(number) return string.format('%.0f', number) end

@WRITES@
-- Two tasks that become ready in one script keep their order: each gets a microsecond of its own.
local stamps = 0
local function stamp()
  stamps = stamps + 1
  return NOW_US + stamps
end

local FIELDS = {'job', 'stage', 'bin', 'line', 'rule', 'fatal', 'max_tries', 'max_lost', 'missing', 'state', 'tries',
  'lost', 'score', 'token', 'holder', 'place', 'until', 'started', 'settled', 'call', 'since', 'after', 'spec'}
local NO_SPEC = #FIELDS - 1
local JOB_FIELDS = @JOB_FIELDS@ -- cancel, doom, ended, job, uri, mtime, live, n.<state> ...
local JOB_COUNTS = 7 -- where the numbers begin
local TASKS, JOBS, ENDED, DOOMED, RUNG, MINUTE = {}, {}, {}, {}, 0, nil

-- A task as a table shared by the whole script, or nil. `wanted`: with its spec, which is most of it.
local function load(id, wanted)
  if TASKS[id] then return TASKS[id] end
  local key = P .. 'task:' .. id
  local got = call('HMGET', key, unpack(FIELDS, 1, wanted and #FIELDS or NO_SPEC))
  if not got[1] then return nil end
  local task = {id = id, key = key}
  for i, value in ipairs(got) do
    if value then task[FIELDS[i]] = value end
  end
  task.max_tries, task.max_lost = tonumber(task.max_tries) or 0, tonumber(task.max_lost) or 0
  task.missing, task.score = tonumber(task.missing) or 0, tonumber(task.score) or 0
  task.tries, task.lost = tonumber(task.tries) or 0, tonumber(task.lost) or 0
  TASKS[id] = task
  return task
end

-- A job as a table shared by the whole script: stop (is it being stopped: cancelled by a person, or doomed by a task that was
-- fatal to it?), ended, text, uri, mtime, and its counts by their fields, which only `bump` changes and `flush` writes.
local function job_of(id)
  if JOBS[id] then return JOBS[id] end
  local key = P .. 'job:' .. id
  local got = call('HMGET', key, unpack(JOB_FIELDS))
  local job = {id = id, key = key, stop = (got[1] or got[2]) and true or false, ended = got[3] and true or false,
    text = got[4], uri = got[5], mtime = got[6], counts = {}, changed = {}}
  for i = JOB_COUNTS, #JOB_FIELDS do job.counts[JOB_FIELDS[i]] = tonumber(got[i]) or 0 end
  JOBS[id] = job
  return job
end

local function bump(job, field, by)
  job.counts[field] = (job.counts[field] or 0) + by
  job.changed[field] = true
end

local function stopping(job) return job_of(job).stop end

local function stop(job, field)
  call('HSET', P .. 'job:' .. job, field, NOW)
  job_of(job).stop = true
end

local function emit(kind, job, task, data)
  local line = {'XADD', P .. 'ev', '*', 'kind', kind, 'job', job, 'at', NOW}
  local n = #line
  if task then line[n + 1] = 'task' line[n + 2] = task n = n + 2 end
  for name, value in pairs(data or {}) do
    if value and value ~= '' then line[n + 1] = name line[n + 2] = value n = n + 2 end
  end
  call(unpack(line))
  EMITTED = true
end

local ERROR_TOTALS = {}

local function observe(name, bounds, value)
  local bucket = #bounds
  for i, bound in ipairs(bounds) do
    if value <= bound then bucket = i - 1 break end
  end
  add(TOTALS, name .. '.' .. bucket, 1)
  add(TOTALS, name .. '.sum', value)
end

local function write_errors()
  for name, n in pairs(ERROR_TOTALS) do
    -- Answers n: nobody ever counted under this name. One name too many goes to those without a name.
    local others = string.match(name, '^error%.%a+%.') .. OTHER
    if call('HINCRBY', P .. 'stat', name, n) == n and name ~= others and call('HINCRBY', P .. 'stat', 'errors', 1) > ERRORS then
      call('HDEL', P .. 'stat', name)
      call('HINCRBY', P .. 'stat', 'errors', -1)
      call('HINCRBY', P .. 'stat', others, n)
    end
  end
  ERROR_TOTALS = {}
end

local function write_jobs()
  for _, job in pairs(JOBS) do
    local sets = {}
    for field in pairs(job.changed) do
      sets[#sets + 1] = field
      sets[#sets + 1] = job.counts[field]
    end
    if #sets > 0 then call('HSET', job.key, unpack(sets)) end
    job.changed = {}
  end
end

-- Write what was gathered.
local function flush()
  write_jobs()
  flush_places()
  flush_counts()
  write_errors()
  if MINUTE then call('EXPIRE', P .. MINUTE, SERIES_S) MINUTE = nil end
  if EMITTED then call('XTRIM', P .. 'ev', 'MAXLEN', '~', EVENTS) EMITTED = false end
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
  MINUTE = 'min:' .. math.floor(NOW / 60000)
  gain(MINUTE, task.bin .. '|' .. task.stage .. '|' .. kind .. '|' .. code, 1)
end

-- Every state has one place. leave and enter are the only code that knows it.
local function leave(task)
  local state = task.state
  if state == 'ready' then
    place(P .. 'line:' .. task.line, task.id)
    place(P .. 'ready:' .. task.job, task.id)
    LINES[task.line] = true
  elseif state == 'delayed' then
    place(P .. 'delayed', task.id)
    call('HDEL', task.key, 'due')
  elseif state == 'running' then
    place(P .. 'leases', task.id)
    belong(P .. 'held:' .. task.holder, task.id, false)
    HOLDERS[task.holder] = true
  elseif state == 'dead' then
    place(P .. 'dead', task.id)
  end
end

-- Adds to `sets` what the task's hash says of its new state.
local function enter(task, state, info, sets)
  local n = #sets
  if state == 'ready' then
    if task.score == 0 then task.score = stamp() end
    local score = whole(task.score)
    place(P .. 'line:' .. task.line, task.id, score)
    place(P .. 'ready:' .. task.job, task.id, score)
    LINES[task.line] = true
    task.since = NOW
    sets[n + 1] = 'score' sets[n + 2] = score sets[n + 3] = 'since' sets[n + 4] = NOW
    RUNG = RUNG + 1
  elseif state == 'delayed' then
    place(P .. 'delayed', task.id, info.due)
    sets[n + 1] = 'due' sets[n + 2] = info.due sets[n + 3] = 'score' sets[n + 4] = whole(task.score)
  elseif state == 'running' then
    place(P .. 'leases', task.id, info['until'])
    belong(P .. 'held:' .. task.holder, task.id, true)
    HOLDERS[task.holder] = true
  elseif state == 'dead' then
    place(P .. 'dead', task.id, NOW)
  end
  if TERMINAL[state] then
    n = #sets
    sets[n + 1] = 'ended' sets[n + 2] = NOW
    ENDED[#ENDED + 1] = task
    if (state == 'failed' or state == 'dead') and task.fatal == '1' then DOOMED[#DOOMED + 1] = task.job end
  end
end

-- The one way a task changes its state. `info`: due, until (ms), and for the event holder, token, outcome, code, place.
-- `sets`: fields and values of the task's hash that change with it.
local function move(task, to, info, sets)
  info, sets = info or {}, sets or {}
  local from = task.state
  if not (ALLOWED[from] and ALLOWED[from][to]) then
    error('transition ' .. from .. ' -> ' .. to .. ' of ' .. task.id .. ' is not in the table')
  end
  leave(task)
  task.state = to
  sets[#sets + 1] = 'state' sets[#sets + 1] = to
  enter(task, to, info, sets)
  call('HSET', task.key, unpack(sets))
  local job = job_of(task.job)
  bump(job, 'n.' .. from, -1)
  bump(job, 'n.' .. to, 1)
  gain('states', from, -1)
  gain('states', to, 1)
  local change = (TERMINAL[from] and 1 or 0) - (TERMINAL[to] and 1 or 0)
  if change ~= 0 then bump(job, 'live', change) end
  job.touched = true
  emit('task.' .. to, task.job, task.id,
    {stage = task.stage, holder = info.holder, token = info.token, outcome = info.outcome, code = info.code, place = info.place})
end

-- Is this predecessor's part done for a task with this rule? 'yes', 'no' (still to come) or 'never'.
local function met(rule, before)
  if not before or not TERMINAL[before.state] then return 'no' end
  if rule == 'settled' or before.state == 'succeeded' then return 'yes' end
  return 'never'
end

-- A new task (ids that exist are left alone: false). `meta` is made by codec.py.
local function insert(id, spec, meta, job)
  local key = P .. 'task:' .. id
  if call('EXISTS', key) == 1 then return false end
  local missing, hopeless = 0, stopping(job)
  for _, before in ipairs(meta.after) do
    call('RPUSH', P .. 'kids:' .. before, id)
    local answer = met(meta.rule, load(before))
    if answer == 'no' then missing = missing + 1 end
    if answer == 'never' then hopeless = true end
  end
  local state = hopeless and 'cancelled' or (missing == 0 and 'ready' or 'blocked')
  local after = #meta.after == 0 and '[]' or cjson.encode(meta.after)
  local task = {id = id, key = key, job = job, stage = meta.stage, bin = meta.bin, line = meta.line, rule = meta.rule,
    fatal = tostring(meta.fatal), max_tries = meta.tries, max_lost = meta.lost, missing = missing, state = state, tries = 0,
    lost = 0, score = 0, after = after, spec = spec}
  local sets = {'spec', spec, 'job', job, 'stage', meta.stage, 'bin', meta.bin, 'line', meta.line,
    'head', meta.head, 'rule', meta.rule, 'fatal', meta.fatal, 'max_tries', meta.tries, 'max_lost', meta.lost,
    'after', after, 'missing', missing, 'state', state, 'tries', 0, 'lost', 0}
  enter(task, state, {}, sets)
  call('HSET', key, unpack(sets))
  TASKS[id] = task
  call('RPUSH', P .. 'tasks:' .. job, id)
  local owner = job_of(job)
  bump(owner, 'n.' .. state, 1)
  gain('states', state, 1)
  if not TERMINAL[state] then bump(owner, 'live', 1) end
  owner.touched = true
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
  for id, job in pairs(JOBS) do
    if job.touched and not job.ended and job.counts.live == 0 then
      local n = job.counts
      local state = 'succeeded'
      if n['n.failed'] + n['n.dead'] > 0 then state = 'failed'
      elseif n['n.cancelled'] > 0 then state = 'cancelled' end
      job.ended, n.ended, job.changed.ended = true, NOW, true
      place(P .. 'active', id)
      add(TOTALS, 'job.' .. state, 1)
      emit('job.ended', id, nil, {state = state})
    end
  end
end

local function ring()
  local most = math.min(RUNG, WAKE)
  if most == 0 then return end
  local room = math.min(most, WAKE - call('LLEN', P .. 'wake'))
  if room <= 0 then return end
  local tokens = {}
  for i = 1, room do tokens[i] = '1' end
  call('LPUSH', P .. 'wake', unpack(tokens))
  RUNG = 0
end

-- Every script that moves tasks ends with this.
local function finale()
  release()
  close_jobs()
  flush()
  ring()
end

-- The end of one attempt, whoever says it. `next` as in queue.base.Next; `delay` in ms.
local function finish(task, next, outcome, kind, code, delay)
  local token, holder, number = task.token, task.holder, task.tries + 1
  -- Decided before the first write: an error must leave nothing half done.
  local tries, lost = task.tries, task.lost
  if next == 'succeed' or next == 'retry' or next == 'fail' then tries = tries + 1 end
  if next == 'lost' then lost = lost + 1 end
  local to
  if next == 'succeed' then to = 'succeeded'
  elseif next == 'fail' then to = 'failed'
  elseif next == 'cancel' then to = 'cancelled'
  elseif next == 'retry' then to = tries >= task.max_tries and 'dead' or 'delayed'
  elseif next == 'lost' then to = lost > task.max_lost and 'dead' or (delay > 0 and 'delayed' or 'ready')
  elseif next == 'hand_back' then to = 'ready'
  else error('unknown end of an attempt: ' .. tostring(next)) end
  if (to == 'delayed' or to == 'ready') and stopping(task.job) then to = 'cancelled' end
  local record = cjson.encode({token = token, number = number, holder = holder,
    place = task.place, started = task.started, ended = whole(NOW), next = next, outcome = outcome})
  if call('RPUSH', P .. 'att:' .. task.id, record) > ATTEMPTS then call('LTRIM', P .. 'att:' .. task.id, -ATTEMPTS, -1) end
  task.tries, task.lost, task.settled = tries, lost, token
  -- What was lost or handed back keeps its place in the line; a failure goes to its end.
  if next == 'retry' then task.score = 0 end
  -- What was handed back ended by nobody's fault but its pool's, which was told to stop: it counts as nothing.
  if next ~= 'hand_back' then count(task, kind, code, next == 'retry' and to == 'delayed') end
  move(task, to, {due = NOW + delay, holder = holder, token = token, outcome = kind, code = code},
    {'tries', tries, 'lost', lost, 'outcome', outcome, 'settled', token, 'how', next})
end

local function lose(task, delay)
  finish(task, 'lost', LOST_OUTCOME, 'lost', 'POOL_LOST', delay)
end

local function holds(task, holder, token)
  return task ~= nil and task.state == 'running' and task.holder == holder and task.token == token
end
