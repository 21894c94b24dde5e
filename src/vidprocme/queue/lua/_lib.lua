-- The prelude of every script: the clock, the one table of transitions, and the functions that may change a task.
-- scripts.py puts it in front of each script and replaces the @NAME@ marks (transitions come from core.job.TRANSITIONS).
--
-- KEYS[1] is the prefix; it holds the one hash tag, so all keys built from it live in one Cluster slot:
--   <p>job:<job>      hash    job (wire JSON), submitted, ended (ms), cancel, doom, live (tasks not ended), n.<state>, uri, mtime, key,
--                             call, bin (where a person moved it), used (jobs that reuse its frames), going (ms: being forgotten)
--   <p>tasks:<job>    list    ids of the job's tasks in planning order
--   <p>task:<task>    hash    spec (wire JSON), job, stage, bin, line, head, rule, fatal, max_tries, max_lost, after (JSON list),
--                             missing (predecessors still to come), state, tries, lost, crashes (deaths of its attempts' own making),
--                             smaller (attempts that ran out of memory), avoid (places that failed it, JSON list), score (us: its place in the line), due (ms),
--                             since (ms: when it became ready or delayed last),
--                             token, holder, place, until, rate (milli-cores it costs), started, ended (ms), progress, outcome (wire JSON),
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
--   <p>ctl, <p>running, <p>usage hash  what persons set, and what bins and tenants use: see _shares.lua
local P = KEYS[1]
local call = redis.call
local ALLOWED = @TRANSITIONS@
local TERMINAL = @TERMINAL@
local LOST_OUTCOME = @LOST_OUTCOME@
local EVENTS, ATTEMPTS, WAKE, SERIES_S, LOST_DELAY_MS = @EVENTS@, @ATTEMPTS@, @WAKE@, @SERIES_S@, @LOST_DELAY_MS@
local SWEEP, PROMOTE, POISON, AVOID = @SWEEP@, @PROMOTE@, @POISON@, @AVOID@
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

local FIELDS = {'job', 'stage', 'bin', 'line', 'rule', 'fatal', 'max_tries', 'max_lost', 'missing', 'state', 'tries',
  'lost', 'crashes', 'smaller', 'score', 'token', 'holder', 'place', 'until', 'started', 'settled', 'call', 'since', 'rebin', 'rate',
  'after', 'spec'}
local NO_SPEC = #FIELDS - 1
local JOB_FIELDS = @JOB_FIELDS@ -- cancel, doom, ended, job, uri, mtime, bin, used, live, n.<state> ...
local JOB_COUNTS = 9 -- where the numbers begin
local TASKS, JOBS, ENDED, DOOMED, RUNG, EMITTED = {}, {}, {}, {}, 0, false

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
  task.crashes, task.smaller = tonumber(task.crashes) or 0, tonumber(task.smaller) or 0
  TASKS[id] = task
  return task
end

-- A job as a table shared by the whole script: stop (is it being stopped: cancelled by a person, or doomed by a task that was
-- fatal to it?), ended, text, uri, mtime, bin, used, and its counts by their fields, which only `bump` changes and `flush` writes.
local function job_of(id)
  if JOBS[id] then return JOBS[id] end
  local key = P .. 'job:' .. id
  local got = call('HMGET', key, unpack(JOB_FIELDS))
  local job = {id = id, key = key, stop = (got[1] or got[2]) and true or false, ended = got[3] and true or false,
    text = got[4], uri = got[5], mtime = got[6], bin = got[7], used = got[8], counts = {}, changed = {}}
  for i = JOB_COUNTS, #JOB_FIELDS do job.counts[JOB_FIELDS[i]] = tonumber(got[i]) or 0 end
  JOBS[id] = job
  return job
end

-- A job that is not there yet. `sets`: fields and values of its hash, written with its counts.
local function new_job(id, text, sets)
  local counts = {}
  for i = JOB_COUNTS, #JOB_FIELDS do counts[JOB_FIELDS[i]] = 0 end
  JOBS[id] = {id = id, key = P .. 'job:' .. id, stop = false, ended = false, text = text, counts = counts,
    changed = {live = true}, sets = sets, touched = true}
end

local function bump(job, field, by)
  job.counts[field] = (job.counts[field] or 0) + by
  job.changed[field] = true
end

local function stopping(job) return job_of(job).stop end

-- Is there such a job, for a person? One that is being forgotten is not.
local function known(job)
  local got = call('HMGET', P .. 'job:' .. job, 'submitted', 'going')
  return got[1] and not got[2]
end

-- The job whose kept frames a job reuses, from its text. (Inside a JSON string each quote has a backslash before it.)
local function reused(text) return string.match(text, '"reuses":"([^"]+)"') end

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
