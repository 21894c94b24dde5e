-- Part of every script's prelude: how a task changes its state, and what follows from it.

-- Give a task another line; if it stands in one it keeps its place by age.
local function reline(task, line)
  if line == task.line then return end
  if task.state == 'ready' then
    place(P .. 'line:' .. task.line, task.id)
    place(P .. 'line:' .. line, task.id, whole(task.score))
    let_go(task.id)
    LINES[task.line], LINES[line] = true, true
    RUNG = RUNG + 1
  end
  task.line = line
  if line == task.sort.line then call('HDEL', task.key, 'line') else call('HSET', task.key, 'line', line) end
end

-- Give a task that waits or has ended another bin.
local function rebin(task, bin)
  reline(task, bin .. string.sub(task.line, #task.bin + 1))
  task.bin = bin
end

-- In _shares.lua: count a task that begins (1) or ends (-1) to run; write what was counted.
local tally, write_shares
-- In _steps.lua: what follows from what ended.
local release
local PUT_OFF = false -- has this script put off anything, or delayed a task?

-- Every state has one place. leave and enter are the only code that knows it.
local function leave(task)
  local state = task.state
  if state == 'ready' then
    place(P .. 'line:' .. task.line, task.id)
    place(P .. 'ready:' .. task.job, task.id)
    let_go(task.id)
    SIZES[task.id] = false
    LINES[task.line] = true
  elseif state == 'delayed' then
    place(P .. 'delayed', task.id)
    call('HDEL', task.key, 'due')
  elseif state == 'running' then
    place(P .. 'leases', task.id)
    belong(P .. 'held:' .. task.holder, task.id, false)
    HOLDERS[task.holder] = true
    if task.rebin then call('HDEL', task.key, 'rebin') end
    if task.rate then tally(task, -1) end
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
    if (task.size or 0) > 0 then SIZES[task.id] = task.size end
    LINES[task.line] = true
    task.since = NOW_WORD
    sets[n + 1] = 'score' sets[n + 2] = score sets[n + 3] = 'since' sets[n + 4] = NOW_WORD
    RUNG = RUNG + 1
  elseif state == 'delayed' then
    local due = whole(info.due)
    PUT_OFF = true
    place(P .. 'delayed', task.id, due)
    sets[n + 1] = 'due' sets[n + 2] = due sets[n + 3] = 'score' sets[n + 4] = whole(task.score)
    sets[n + 5] = 'since' sets[n + 6] = NOW_WORD
  elseif state == 'running' then
    place(P .. 'leases', task.id, info['until'])
    belong(P .. 'held:' .. task.holder, task.id, true)
    HOLDERS[task.holder] = true
    tally(task, 1)
  elseif state == 'dead' then
    place(P .. 'dead', task.id, NOW_WORD)
  end
  if TERMINAL[state] and not info.given_up then
    n = #sets
    sets[n + 1] = 'ended' sets[n + 2] = NOW_WORD
    ENDED[#ENDED + 1] = task
    if (state == 'failed' or state == 'dead') and task.fatal then DOOMED[#DOOMED + 1] = task.job end
  end
end

-- The one way a task changes its state. `info`: due, until (ms), and for the event holder, token, outcome, code, place, model;
-- given_up: it had ended before, and nothing follows from it; silent: no event yet.
-- `sets`: fields and values of the task's hash that change with it.
local function move(task, to, info, sets)
  info, sets = info or {}, sets or {}
  local from = task.state
  if not string.find(ALLOWED, ' ' .. from .. '>' .. to .. ' ', 1, true) then
    error('transition ' .. from .. ' -> ' .. to .. ' of ' .. task.id .. ' is not in the table')
  end
  leave(task)
  task.state = to
  if task.rebin and from == 'running' then
    rebin(task, task.rebin)
    task.rebin = nil
  end
  local n = #sets
  sets[n + 1] = 'state' sets[n + 2] = to
  enter(task, to, info, sets)
  call('HSET', task.key, unpack(sets))
  local job = job_of(task.job)
  bump(job, 'n.' .. from, -1)
  bump(job, 'n.' .. to, 1)
  gain('states', from, -1)
  gain('states', to, 1)
  local change = (TERMINAL[from] and 1 or 0) - (TERMINAL[to] and 1 or 0)
  if change ~= 0 then
    bump(job, 'live', change)
    owe(task, change)
  end
  job.touched = true
  if info.silent then return end
  write_event('task.' .. to, task.job, ',"task":"' .. task.id .. '","stage":"' .. task.stage .. '"'
    .. (info.holder and ',"holder":' .. quoted(info.holder) .. ',"token":"' .. info.token .. '"' or '')
    .. (info.place and ',"place":' .. quoted(info.place) or '')
    .. (info.model and ',"model":' .. quoted(info.model) or '')
    .. (info.outcome and ',"outcome":"' .. info.outcome .. '"' or '')
    .. (info.code and info.code ~= '' and ',"code":' .. quoted(info.code) or '')
    .. (info.poison and ',"poison":"1"' or ''))
end

-- A task's state; nil when there is no such task. (Not all of it is read: a join comes after thousands.)
local function state_of(id)
  return TASKS[id] and TASKS[id].state or call('HGET', P .. 'task:' .. id, 'state') or nil
end

-- Is the part of a predecessor in this state done for a task with this rule? 'yes', 'no' (still to come) or 'never'.
local function met(rule, state)
  if not TERMINAL[state or ''] then return 'no' end
  if rule == 'settled' or state == 'succeeded' then return 'yes' end
  return 'never'
end

-- The task that begins at this position of ARGV: id, payload, what it comes after (JSON list, or '' for nothing), what tasks of
-- its sort have in common (JSON, made by tasktext.py), and its size. Many tasks of one script are of one sort.
local TASK_WORDS = 5
local function task_at(at)
  local after = ARGV[at + 2]
  return {id = ARGV[at], payload = ARGV[at + 1], sort = sort_of(ARGV[at + 3]), sort_text = ARGV[at + 3], size = ARGV[at + 4],
    after = after == '' and {} or cjson.decode(after), after_text = after}
end

-- A new task (ids that exist are left alone: false). `new` is made by task_at.
local function insert(new, job)
  local id, sort = new.id, new.sort
  local key = P .. 'task:' .. id
  if call('EXISTS', key) == 1 then return false end
  local owner = job_of(job)
  local missing, hopeless = 0, owner.stop
  local bin, line = sort.bin, sort.line
  if owner.bin then -- the job was moved since this was planned
    bin = owner.bin
    line = bin .. string.sub(line, #sort.bin + 1)
  end
  for _, before in ipairs(new.after) do
    call('RPUSH', P .. 'kids:' .. before, id)
    local answer = met(sort.rule, state_of(before))
    if answer == 'no' then missing = missing + 1 end
    if answer == 'never' then hopeless = true end
  end
  local state = hopeless and 'cancelled' or (missing == 0 and 'ready' or 'blocked')
  local task = {id = id, key = key, job = job, sort = sort, stage = sort.stage, bin = bin, line = line, rule = sort.rule,
    fatal = sort.fatal, max_tries = sort.tries, max_lost = sort.lost, missing = missing, state = state,
    tries = 0, lost = 0, crashes = 0, smaller = 0, score = 0, after = new.after_text == '' and '[]' or new.after_text, payload = new.payload, sort_text = new.sort_text,
    size = tonumber(new.size)}
  local sets = {'payload', new.payload, 'job', job, 'sort', new.sort_text, 'state', state, 'size', new.size}
  if line ~= sort.line then sets[11] = 'line' sets[12] = line end
  if #new.after > 0 then
    local n = #sets
    sets[n + 1] = 'after' sets[n + 2] = new.after_text sets[n + 3] = 'missing' sets[n + 4] = missing
  end
  enter(task, state, {}, sets)
  call('HSET', key, unpack(sets))
  TASKS[id] = task
  append(P .. 'tasks:' .. job, id)
  bump(owner, 'n.' .. state, 1)
  gain('states', state, 1)
  if not TERMINAL[state] then
    bump(owner, 'live', 1)
    owe(task, 1)
  end
  owner.touched = true
  write_event('task.' .. state, job, ',"task":"' .. id .. '","stage":"' .. task.stage .. '"')
  return true
end

-- Jobs whose last task ended in this script: say so once.
local function close_jobs()
  for id, job in pairs(JOBS) do
    if job.touched and not job.ended and job.counts.live == 0 then
      local n = job.counts
      local state = 'succeeded'
      if (n['n.failed'] or 0) + (n['n.dead'] or 0) > 0 then state = 'failed'
      elseif (n['n.cancelled'] or 0) > 0 then state = 'cancelled' end
      job.ended, n.ended, job.changed.ended = true, NOW, true
      place(P .. 'active', id)
      if not job.used then place(P .. 'ended:' .. (state == 'succeeded' and state or 'failed'), id, NOW_WORD) end
      add(TOTALS, 'job.' .. state, 1)
      MINUTE = 'min:' .. math.floor(NOW / 60000)
      gain(MINUTE, 'job||' .. state .. '|', 1)
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
  write_shares()
  ring()
end

-- Let a task avoid one place more, or none (`at` nil): tasks that avoid places stand in lines of their own, whose names end with these.
local function avoid(task, at)
  local old = call('HGET', task.key, 'avoid')
  local places = old and cjson.decode(old) or {}
  for _, known in ipairs(places) do
    if known == at then return end
  end
  local line = old and string.sub(task.line, 1, -2 - #table.concat(places, ',')) or task.line
  if not at then
    if old then call('HDEL', task.key, 'avoid') end
    reline(task, line)
    return
  end
  places[#places + 1] = at
  if #places > AVOID then table.remove(places, 1) end
  call('HSET', task.key, 'avoid', cjson.encode(places))
  reline(task, line .. '!' .. table.concat(places, ','))
end

-- The end of one attempt, whoever says it. `next` as in queue.base.Next; `delay` in ms; `marks`: 'c' it was a crash of its own
-- making, 's' the next one is to need less memory, 'e' the next one had better be elsewhere.
local function finish(task, next, outcome, kind, code, delay, marks)
  local token, holder, number = task.token, task.holder, task.tries + 1
  -- Decided before the first write: an error must leave nothing half done.
  local tries, lost = task.tries, task.lost
  if next == 'succeed' or next == 'retry' or next == 'fail' then tries = tries + 1 end
  if next == 'lost' then lost = lost + 1 end
  local crashed, smaller = string.find(marks, 'c', 1, true), string.find(marks, 's', 1, true)
  local crashes = task.crashes + (crashed and 1 or 0)
  local poison = crashed and crashes >= POISON
  local to
  if next == 'succeed' then to = 'succeeded'
  elseif next == 'fail' then to = 'failed'
  -- It was told to stop, and its job was retried since: like what is handed back.
  elseif next == 'cancel' then to = stopping(task.job) and 'cancelled' or 'ready'
  elseif next == 'retry' then to = (poison or tries >= task.max_tries) and 'dead' or (delay > 0 and 'delayed' or 'ready')
  elseif next == 'lost' then to = lost > task.max_lost and 'dead' or (delay > 0 and 'delayed' or 'ready')
  elseif next == 'hand_back' then to = 'ready'
  else error('unknown end of an attempt: ' .. tostring(next)) end
  if (to == 'delayed' or to == 'ready') and stopping(task.job) then to = 'cancelled' end
  -- The attempt that ended last is in the task's own hash; the list, which most tasks never have, holds those before it.
  if task.last then
    if call('RPUSH', P .. 'att:' .. task.id, task.last) >= ATTEMPTS then call('LTRIM', P .. 'att:' .. task.id, 1 - ATTEMPTS, -1) end
  end
  if smaller then task.smaller = task.smaller + 1 end
  task.tries, task.lost, task.crashes = tries, lost, crashes
  task.last = '{"token":"' .. token .. '","next":"' .. next .. '","number":' .. number .. ',"holder":' .. quoted(holder) .. ',"place":' ..
    quoted(task.place) .. ',"started":"' .. task.started .. '","ended":"' .. NOW_WORD .. '","outcome":' .. outcome .. '}'
  local sets = {'used', tries .. ' ' .. lost .. ' ' .. crashes .. ' ' .. task.smaller, 'last', task.last}
  if string.find(marks, 'e', 1, true) then avoid(task, task.place) end
  -- What was lost, handed back or stopped keeps its place in the line; a failure goes to its end.
  if next == 'retry' then task.score = 0 end
  -- What was handed back ended by nobody's fault but its pool's, which was told to stop: it counts as nothing.
  if next ~= 'hand_back' then count(task, kind, code, next == 'retry' and to ~= 'dead' and to ~= 'cancelled') end
  if next == 'succeed' then learn(task) end
  if next == 'succeed' and task.stage == 'describe' then
    gain(MINUTE, task.bin .. '|describe|frames|', tonumber(string.match(outcome, '"captions":(%d+)')) or 0)
  end
  move(task, to, {due = NOW + delay, holder = holder, token = token, outcome = kind, code = code,
    poison = to == 'dead' and poison and '1'}, sets)
end

local function lose(task, delay)
  finish(task, 'lost', LOST_OUTCOME, 'lost', 'POOL_LOST', delay, '')
end

-- An id in one of the places where no such task is: nothing can be done for it, and it must not stand in the way of the others.
local function cast_out(from, id)
  local family, owner = string.match(from, '^(%a+):?(.*)$')
  if family == 'held' then belong(P .. from, id, false) HOLDERS[owner] = true else place(P .. from, id) end
  if family == 'line' then
    LINES[owner] = true
    SIZES[id] = false
  end
  add(TOTALS, 'stray', 1)
  emit('stray.removed', '', id, {place = from})
end

local function holds(task, holder, token)
  return task ~= nil and task.state == 'running' and task.holder == holder and task.token == token
end
