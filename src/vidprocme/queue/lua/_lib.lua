-- The prelude of every script: the clock, the one table of transitions, and the functions that may change a task.
-- scripts.py puts it in front of each script and replaces the @NAME@ marks (transitions come from core.job.TRANSITIONS).
--
-- KEYS[1] is the prefix; it holds the one hash tag, so all keys built from it live in one Cluster slot. What bounds each of them is
-- in docs/architecture.md ("Where things live"), and held by tests/queue/test_bounds.py:
--   <p>job:<job>      hash    job (wire JSON), submitted, ended (ms), cancel, doom, live (tasks not ended, and one more while it is
--                             being retried), again (ms: being retried),
--                             retried ("<how often> <ms of each>": when a person asked for it, the last fifty), n.<state>, uri, mtime, key,
--                             rest (things of it that are put off, see _steps.lua), call, bin (where a person moved it), used (jobs that reuse its frames), going (ms: being forgotten),
--                             late (ms: found past its deadline), deadline (ms, in place of its text's, since a repeated wish said so; 0: it has
--                             none any more, for it was retried after it)
--   <p>tasks:<job>    list    ids of the job's tasks in planning order
--   <p>task:<task>    hash    payload, job, sort (wire JSON of tasktext.Sort: what it has in common with many), state,
--                             line (where it is not its sort's: it was moved, or avoids places), after (JSON list; not there: nothing),
--                             missing (predecessors still to come; below 0: a retry holds it), used ("<tries> <lost> <crashes> <smaller>": of its own making; that ran out
--                             of memory; not there: none), size (how much work: core.job.Task), predicted (ms, of the last claim; 0: nothing was), avoid (places that failed it, JSON list), score (us: its place in the line), due (ms),
--                             since (ms: when it became ready or delayed last),
--                             lease (of the attempt that runs or ran last: token|started ms|milli-cores it costs|name of the turn that claimed|holder|place),
--                             last (the attempt that ended last, JSON: token, next, number, holder, place, started, ended, outcome),
--                             ended (ms), progress, swept (token taken by others), rebin (running: the bin it goes to when it stops running)
--   <p>kids:<task>    list    tasks that come after this one, in planning order
--   <p>att:<task>     list    ended attempts before the last one, as JSON, oldest first, capped
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
--   <p>pool:<pool>    string  with PX: its presence; holds its last report (wire JSON of PoolReport; of its places while somebody asks: 8 KiB at most), or no JSON object
--   <p>heard          string  when anybody was heard last, see _heard.lua
--   <p>told           hash    pool -> its own totals as it last told them (JSON); from join until it is forgotten
--   <p>fence          string  counter of lease tokens;  <p>format  string: see format.py
--   <p>ev             stream  events, each one field `e` (JSON), MAXLEN ~
--   <p>states         hash    tasks by state
--   <p>stat           hash    totals by name (core/counts.py)
--   <p>min:<minute>   hash    `bin|stage|kind|code` -> count of attempts, `bin|stage|frames|` -> frames described, `job||state|` -> jobs that ended; 48 h
--   <p>rest           zset    what goes on in steps;  <p>rest:at hash: see _steps.lua
--   <p>wake           list    doorbell tokens, at most 64
--   <p>said           list    what persons asked lately and were answered, see _said.lua
--   <p>drained        hash    node -> who drained it
--   <p>asked          zset    with PX: jobs of which somebody asks why they wait; score = ms, of the last time
--   <p>rec:<kind>  hash, <p>versions  string  see put.lua;  <p>due:<kind>, <p>due:<kind>:<line>  zset  see _due.lua
--   <p>note:<kind>:<id>  string  with EX: see kept.py;  <p>log:<kind>  stream  lines, each one field `d` (wire JSON), MAXLEN ~
--   <p>left, <p>sizes, <p>durations  hash  what work is left, and how long it takes: see _work.lua
--   <p>reserved       hash    places that pools hold for tasks: see _holds.lua
--   <p>ctl, <p>running, <p>usage hash  what persons set, and what bins and tenants use: see _shares.lua
-- A script that does nothing but begin costs what its functions and tables cost: what is constant is written as a word, not as a
-- table. A number that goes to `call` is printed with 17 digits, which is slow: words go there.
local P = KEYS[1]
local call = redis.call
local ALLOWED = @TRANSITIONS@ -- ' from>to from>to ... '
local TERMINAL = @TERMINAL@
local LOST_OUTCOME = @LOST_OUTCOME@
local EVENTS, ATTEMPTS, WAKE, SERIES_S, LOST_DELAY_MS = '@EVENTS@', @ATTEMPTS@, @WAKE@, '@SERIES_S@', @LOST_DELAY_MS@
local SWEEP, PROMOTE, POISON, AVOID, LATE, FREE = '@SWEEP@', '@PROMOTE@', @POISON@, @AVOID@, @LATE@, @FREE@

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

local TASKS, JOBS, ENDED, DOOMED, RUNG, EMITTED = {}, {}, {}, {}, 0, 0

-- What many tasks have in common, from its text.
local SORTS = {}
local function sort_of(text)
  local sort = SORTS[text]
  if not sort then
    local said = cjson.decode(text).d
    sort = {stage = said.stage, line = said.line, bin = string.match(said.line, '^[^|]*'), rule = said.after_rule, fatal = said.fatal_to_job,
      tries = said.limits.tries, lost = said.limits.lost, model = type(said.model) == 'string' and said.model}
    sort.kind = sort.stage .. '|' .. (sort.model or '')
    SORTS[text] = sort
  end
  return sort
end

-- Token, next step of the attempt that ended last.
local function settled(task)
  if task.last then return string.match(task.last, '^{"token":"(%d+)","next":"([%a_]+)"') end
end

-- A task as a table shared by the whole script, or nil. `wanted`: with what a claim hands out, its payload above all.
local function load(id, wanted)
  local task = TASKS[id]
  if task then return task end
  local key = P .. 'task:' .. id
  local got
  if wanted then
    got = call('HMGET', key, 'job', 'sort', 'state', 'used', 'lease', 'line', 'score', 'rebin', 'missing', 'last', 'size', 'predicted', 'since', 'after', 'payload')
  else
    got = call('HMGET', key, 'job', 'sort', 'state', 'used', 'lease', 'line', 'score', 'rebin', 'missing', 'last', 'size', 'predicted')
  end
  if not got[1] then return nil end
  local sort, line = sort_of(got[2]), got[6]
  task = {id = id, key = key, job = got[1], sort = sort, stage = sort.stage, bin = line and string.match(line, '^[^|]*') or sort.bin,
    line = line or sort.line, state = got[3], tries = 0, lost = 0, crashes = 0, smaller = 0, score = tonumber(got[7]) or 0,
    rebin = got[8], max_tries = sort.tries, max_lost = sort.lost, fatal = sort.fatal, rule = sort.rule,
    missing = tonumber(got[9]) or 0, last = got[10], size = tonumber(got[11]), predicted = tonumber(got[12]), since = got[13],
    after = wanted and (got[14] or '[]'), payload = got[15], sort_text = got[2]}
  if got[4] then
    local tries, lost, crashes, smaller = string.match(got[4], '^(%d+) (%d+) (%d+) (%d+)$')
    task.tries, task.lost, task.crashes, task.smaller = tonumber(tries), tonumber(lost), tonumber(crashes), tonumber(smaller)
  end
  if got[5] then
    task.token, task.started, task.rate, task.call, task.holder, task.place =
      string.match(got[5], '^(%d+)|(%d+)|(%d+)|([^|]*)|([^|]*)|(.*)$')
  end
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
    changed = {live = true}, sets = sets, touched = true, submitted = NOW_WORD}
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

-- A text as JSON has it; holders, places and codes are the same few in one script.
local QUOTED = {}
local function quoted(text)
  if not QUOTED[text] then QUOTED[text] = cjson.encode(text) end
  return QUOTED[text]
end

-- `data`: names and texts, as the inside of a JSON object.
local function write_event(kind, job, data)
  call('XADD', P .. 'ev', '*', 'e', '{"kind":"' .. kind .. '","job":"' .. job .. '","at":' .. NOW_WORD .. data .. '}')
  EMITTED = EMITTED + 1
end

local function emit(kind, job, task, data)
  local words = task and {',"task":"' .. task .. '"'} or {}
  for name, value in pairs(data) do words[#words + 1] = ',"' .. name .. '":' .. quoted(tostring(value)) end
  write_event(kind, job, table.concat(words))
end
