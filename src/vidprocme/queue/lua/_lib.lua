-- The prelude of every script: the clock, the one table of transitions, and the functions that may change a task.
-- scripts.py puts it in front of each script and replaces the @NAME@ marks (transitions come from core.job.TRANSITIONS).
--
-- KEYS[1] is the prefix; it holds the one hash tag, so all keys built from it live in one Cluster slot. What bounds each of them is
-- in docs/architecture.md ("Where things live"), and held by tests/queue/test_bounds.py:
--   <p>job:<job>      hash    job (wire JSON), submitted, ended (ms), cancel, doom, live (tasks not ended, and one more while it is
--                             being retried), again (ms: being retried), n.<state>, uri, mtime, key,
--                             rest (things of it that are put off, see _steps.lua), call, bin (where a person moved it), used (jobs that reuse its frames), going (ms: being forgotten),
--                             late (ms: found past its deadline)
--   <p>tasks:<job>    list    ids of the job's tasks in planning order
--   <p>task:<task>    hash    spec (wire JSON), job, stage, bin, line, head, rule, fatal, max_tries, max_lost, after (JSON list),
--                             missing (predecessors still to come; below 0: a retry holds it), state, tries, lost, crashes (deaths of its attempts' own making),
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
--   <p>deadlines      zset    jobs that have a deadline and were not past it when a turn last looked; score = it in ms
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
--   <p>rest           zset    what goes on in steps;  <p>rest:at hash: see _steps.lua
--   <p>wake           list    doorbell tokens, at most 64
--   <p>ctl, <p>running, <p>usage hash  what persons set, and what bins and tenants use: see _shares.lua
-- A script that does nothing but begin costs what its functions and tables cost: what is constant is written as a word, not as a
-- table. A number that goes to `call` is printed with 17 digits, which is slow: words go there.
local P = KEYS[1]
local call = redis.call
local ALLOWED = @TRANSITIONS@ -- ' from>to from>to ... '
local TERMINAL = @TERMINAL@
local LOST_OUTCOME = @LOST_OUTCOME@
local EVENTS, ATTEMPTS, WAKE, SERIES_S, LOST_DELAY_MS = '@EVENTS@', @ATTEMPTS@, @WAKE@, '@SERIES_S@', @LOST_DELAY_MS@
local SWEEP, PROMOTE, POISON, AVOID, LATE = '@SWEEP@', '@PROMOTE@', @POISON@, @AVOID@, @LATE@

-- `..` prints 14 digits only; microseconds have 16.
local function whole(number) return string.format('%.0f', number) end

local clock = call('TIME')
local NOW_US = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local NOW = math.floor(NOW_US / 1000)
local NOW_WORD = whole(NOW)

-- Two tasks that become ready in one script keep their order: each gets a microsecond of its own.
local stamps = 0
local function stamp()
  stamps = stamps + 1
  return NOW_US + stamps
end

local TASKS, JOBS, ENDED, DOOMED, RUNG, EMITTED = {}, {}, {}, {}, 0, false

-- A task as a table shared by the whole script, or nil. `wanted`: with what a claim hands out, its spec above all.
local function load(id, wanted)
  local task = TASKS[id]
  if task then return task end
  local key = P .. 'task:' .. id
  local got
  if wanted then
    got = call('HMGET', key, 'job', 'stage', 'bin', 'line', 'state', 'tries', 'lost', 'score', 'token', 'holder', 'place', 'until',
      'call', 'smaller', 'rebin', 'max_tries', 'max_lost', 'fatal', 'rule', 'missing', 'started', 'settled', 'crashes',
      'rate', 'since', 'after', 'spec')
  else
    got = call('HMGET', key, 'job', 'stage', 'bin', 'line', 'state', 'tries', 'lost', 'score', 'token', 'holder', 'place', 'until',
      'call', 'smaller', 'rebin', 'max_tries', 'max_lost', 'fatal', 'rule', 'missing', 'started', 'settled', 'crashes',
      'rate')
  end
  if not got[1] then return nil end
  task = {id = id, key = key, job = got[1], stage = got[2], bin = got[3], line = got[4], state = got[5],
    tries = tonumber(got[6]) or 0, lost = tonumber(got[7]) or 0, score = tonumber(got[8]) or 0, token = got[9], holder = got[10],
    place = got[11], ['until'] = got[12], call = got[13], smaller = tonumber(got[14] or 0), rebin = got[15],
    max_tries = tonumber(got[16]) or 0, max_lost = tonumber(got[17]) or 0, fatal = got[18], rule = got[19],
    missing = tonumber(got[20]) or 0, started = got[21], settled = got[22], crashes = tonumber(got[23] or 0),
    rate = got[24], since = got[25], after = got[26], spec = got[27]}
  TASKS[id] = task
  return task
end

-- A job as a table shared by the whole script: stop (is it being stopped: cancelled by a person, or doomed by a task that was
-- fatal to it?), ended, bin, used, and its counts by their fields, which only `bump` changes and `flush` writes.
-- `wanted`: with text, uri and mtime.
local function job_of(id, wanted)
  local job = JOBS[id]
  if job and (job.text or not wanted) then return job end
  local key = P .. 'job:' .. id
  if job then
    local got = call('HMGET', key, 'job', 'uri', 'mtime')
    job.text, job.uri, job.mtime = got[1], got[2], got[3]
    return job
  end
  local got
  if wanted then got = call('HMGET', key, @JOB_FIELDS@, 'job', 'uri', 'mtime')
  else got = call('HMGET', key, @JOB_FIELDS@) end
  job = {id = id, key = key, stop = (got[1] or got[2]) and true or false, ended = got[3] and true or false,
    bin = got[4], used = got[5], counts = {live = tonumber(got[6]) or 0, rest = tonumber(got[7]) or 0, @JOB_COUNTS@}, changed = {},
    text = got[@JOB_TEXT@], uri = got[@JOB_TEXT@ + 1], mtime = got[@JOB_TEXT@ + 2]}
  JOBS[id] = job
  return job
end

-- A job that is not there yet. `sets`: fields and values of its hash, written with its counts.
local function new_job(id, text, sets)
  JOBS[id] = {id = id, key = P .. 'job:' .. id, stop = false, ended = false, text = text, counts = {live = 0},
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

-- Until when a job is of use, from its text: ms since the epoch; 0: for ever.
local function deadline_of(text) return tonumber(string.match(text, '"deadline_ms":(%d+)') or 0) end

local function stop(job, field)
  call('HSET', P .. 'job:' .. job, field, NOW_WORD)
  job_of(job).stop = true
end

local function emit(kind, job, task, data)
  local line = {'XADD', P .. 'ev', '*', 'kind', kind, 'job', job, 'at', NOW_WORD}
  local n = 9
  if task then line[10] = 'task' line[11] = task n = 11 end
  for name, value in pairs(data) do
    if value and value ~= '' then line[n + 1] = name line[n + 2] = value n = n + 2 end
  end
  call(unpack(line))
  EMITTED = true
end
