-- with _heard
-- One turn of a pool: settle, sweep, promote, claim, and show the lines. Everything is bounded.
-- ARGV: 1 holder, 2 lease ms, 3 cursor into the lines as the turn before replied it, 4 most lines, 5 most heads of a line, 6 name of this call (a repeated
--   call gets its own claims again), 7 number of settlements, 8 '1' to look after the others too (sweep, promote, stop what is late,
--   go on with what was put off), 9 number of jobs to show (-1: all), then those jobs, number of
--   places that it holds (see _holds.lua), then per such place: task, place, line, since when it is ready (ms); then per settlement: task, token, next, outcome (wire JSON),
--   kind of outcome, error code or '', delay ms, marks (see finish); then per claim: task, place, cost (milli-cores), predicted ms (0: not).
-- Reply: {stale {position from 1 ...}, claimed {{position, token, until ms, number, lost, payload, job, {task, state, last attempt or ''
--   ...}, line, smaller, sort, size} ...}, lines {{name, length, {task, score us ...}, sort, avoided places or ''} ...}, number of lines, next due ms, '' when nothing is,
--   '-' when this turn did not look,
--   next cursor, terms (see `terms` in _shares.lua), the claims' jobs {job, its text, uri or '', mtime or '', bin or '' ...},
--   size or nil of each shown task in their order {...}, their jobs {job ...}, and of each what `left` says or nil {...},
--   `durations` flat (see _work.lua), nil when this turn did not look, tasks for which other pools hold places {task ...}}.
local holder, lease_ms, cursor = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local most_lines, most_heads, name = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local settlements = tonumber(ARGV[7])
local looks = ARGV[8] == '1'
local at = 10
local jobs = {}
for i = 1, tonumber(ARGV[9]) do jobs[i] = ARGV[at] at = at + 1 end
local some_jobs = tonumber(ARGV[9]) >= 0
local held, held_at = tonumber(ARGV[at]), at + 1
at = held_at + 4 * held

-- A server at its memory limit refuses a script's first write if it could grow; after a shrinking one it lets the rest
-- through. So work that is done can always be settled, while new jobs are refused.
call('DEL', P .. 'none')

-- A settlement said twice (its reply was lost on the way) is no news, and not stale either.
local stale = {}
for position = 1, settlements do
  local task, token = load(ARGV[at]), ARGV[at + 1]
  if holds(task, holder, token) then
    finish(task, ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], tonumber(ARGV[at + 6]), ARGV[at + 7])
  else
    local known, how
    if task then known, how = settled(task) end
    if known ~= token or how ~= ARGV[at + 2] then stale[#stale + 1] = position end
  end
  at = at + 8
end

-- `owner`: whose set names it.
local function sweep(id, from, owner)
  local task = load(id)
  if not task or (owner and (task.state ~= 'running' or task.holder ~= owner)) then return cast_out(from, id) end
  if task.state ~= 'running' then return end
  call('HSET', task.key, 'swept', task.token)
  lose(task, LOST_DELAY_MS)
end
local function sweep_the_silent()
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'leases', '-inf', NOW, 'LIMIT', 0, SWEEP)) do sweep(id, 'leases') end
  -- A pool that joined and whose presence ended is dead before its leases are. The caller is alive: it is calling.
  for _, other in ipairs(call('SRANDMEMBER', P .. 'holders', SWEEP)) do
    if other ~= holder and call('HEXISTS', P .. 'pools', other) == 1 and call('EXISTS', P .. 'pool:' .. other) == 0 then
      local held = 'held:' .. other
      for _, id in ipairs(call('SRANDMEMBER', P .. held, SWEEP)) do sweep(id, held, other) end
    end
  end
end
-- What nobody else looks after. It need not be done each of a thousand times a second.
local function look_after()
  if heard() then sweep_the_silent() end
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'delayed', '-inf', NOW, 'LIMIT', 0, PROMOTE)) do
    local task = load(id)
    if not task then cast_out('delayed', id)
    elseif task.state == 'delayed' then -- not so: it was delayed just above, with no wait
      if stopping(task.job) then move(task, 'cancelled', {code = stop_code(task.job)}) else move(task, 'ready') end
    end
  end
  -- What was delayed in the future: the server's clock has gone back since. It would wait until that has caught up.
  local LONG_MS = 60000
  local last = call('ZREVRANGE', P .. 'delayed', 0, 0, 'WITHSCORES')
  if last[2] and tonumber(last[2]) > NOW + LONG_MS then
    for _, id in ipairs(call('ZREVRANGE', P .. 'delayed', 0, '31')) do
      if (tonumber(call('HGET', P .. 'task:' .. id, 'since')) or 0) > NOW then
        local task = load(id)
        if task and task.state == 'delayed' then move(task, 'ready') end
      end
    end
  end
  -- Before anything is claimed: what is late does not begin any more.
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'deadlines', '-inf', NOW, 'LIMIT', 0, LATE)) do
    call('ZREM', P .. 'deadlines', id)
    local job = job_of(id)
    if job.counts.live > 0 and not job.stop then
      emit('job.late', id, nil, {})
      stop(id, 'late')
      stop(id, 'cancel')
      stop_job(id)
    end
  end
end
if looks then look_after() end
release()
if looks then
  go_on()
  release()
end

-- Tokens of the fence are taken for all claims at once; those of claims that are not granted are never used.
local claims, claimed, fence = (#ARGV - at + 1) / 4, {}, nil
local claimed_jobs, told, until_word = {}, {}, whole(NOW + lease_ms)
local function grant(position, task)
  local job = job_of(task.job, true)
  if not told[task.job] then
    told[task.job] = true
    for _, word in ipairs({task.job, job.text, job.uri or '', job.mtime or '', job.bin or ''}) do claimed_jobs[#claimed_jobs + 1] = word end
  end
  if not task.payload then
    local got = call('HMGET', task.key, 'payload', 'after')
    task.payload, task.after = got[1], got[2] or '[]'
  end
  local inputs = {}
  if task.after ~= '[]' then
    for _, id in ipairs(cjson.decode(task.after)) do
      local before = call('HMGET', P .. 'task:' .. id, 'state', 'last')
      inputs[#inputs + 1] = id
      inputs[#inputs + 1] = before[1] or ''
      inputs[#inputs + 1] = before[2] or ''
    end
  end
  claimed[#claimed + 1] = {position, task.token, task.ends, task.tries + 1, task.lost, task.payload, task.job, inputs,
    task.line, task.smaller, task.sort_text, task.size or 0}
end
for position = 1, claims do
  local i = at + 4 * (position - 1)
  local task = load(ARGV[i], true)
  if task and task.state == 'ready' and allowed(task) and not job_of(task.job, true).stop then
    WAIT = WAIT or @WAIT@
    observe('wait.' .. task.bin, WAIT, math.max(0, NOW - (tonumber(task.since) or math.floor(task.score / 1000))))
    if task.token then call('HDEL', task.key, 'progress') end -- of an attempt before this one
    fence = fence or call('INCRBY', P .. 'fence', claims) - claims
    task.token, task.holder, task.place = whole(fence + position), holder, ARGV[i + 1]
    task.started, task.call, task.rate, task.ends = NOW_WORD, name, ARGV[i + 2], until_word
    move(task, 'running', {['until'] = until_word, holder = holder, token = task.token, place = task.place, model = task.sort.model},
      {'lease', task.token .. '|' .. NOW_WORD .. '|' .. task.rate .. '|' .. name .. '|' .. holder .. '|' .. task.place,
        'predicted', ARGV[i + 3]})
    grant(position, task)
  elseif task and task.state == 'running' and task.holder == holder and task.call == name then
    task.ends = task.ends or call('ZSCORE', P .. 'leases', task.id)
    grant(position, task)
  end
end
finale()
local elsewhere = reserve(holder, held_at, held)

local total = call('ZCARD', P .. 'lines')
local anything = total > 0
local lines = {}

-- What all tasks of a line have in common, as one of them says it: its sort, and the places that failed it.
local function add_line(name, length, heads)
  local got
  while heads[1] do
    got = call('HMGET', P .. 'task:' .. heads[1], 'sort', 'avoid')
    if got[1] then break end
    cast_out('line:' .. name, heads[1])
    length, heads = length - 1, {unpack(heads, 3)}
  end
  if heads[1] then lines[#lines + 1] = {name, length, heads, got[1], got[2] or ''} end
end

-- Lines made of some jobs' own ready tasks, wherever they stand in the real lines. At most `most_seen` tasks are looked at;
-- what was not is counted as one line more, so that the caller knows there is more to come.
local function show_jobs(most_seen)
  local by_line, names, seen, from = {}, {}, 0, (tonumber(cursor) or 0) % math.max(#jobs, 1)
  cursor = 0
  for i = 1, #jobs do
    local place = (from + i - 1) % #jobs
    if seen >= most_seen then
      cursor = place
      total = #names + 1
      break
    end
    local ready = call('ZRANGE', P .. 'ready:' .. jobs[place + 1], 0, most_seen - seen - 1, 'WITHSCORES')
    for k = 1, #ready, 2 do
      seen = seen + 1
      local got = call('HMGET', P .. 'task:' .. ready[k], 'line', 'sort')
      local line = got[1] or (got[2] and sort_of(got[2]).line)
      if not line then
        cast_out('ready:' .. jobs[place + 1], ready[k])
      else
        if not by_line[line] then
          by_line[line] = {length = 0, tasks = {}}
          names[#names + 1] = line
        end
        local mine = by_line[line]
        mine.length = mine.length + 1
        mine.tasks[#mine.tasks + 1] = {tonumber(ready[k + 1]), ready[k], ready[k + 1]}
      end
    end
    total = #names
  end
  if #jobs == 0 then total = 0 end
  for _, line in ipairs(names) do
    local mine, shown = by_line[line], {}
    table.sort(mine.tasks, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
    for k = 1, math.min(most_heads, #mine.tasks) do
      shown[2 * k - 1] = mine.tasks[k][2]
      shown[2 * k] = mine.tasks[k][3]
    end
    add_line(line, mine.length, shown)
  end
end

-- So many names between two bounds, from behind `last` on and round again. (There are more than so many.)
local function lines_behind(last, least, most, count)
  local got = call('ZRANGEBYLEX', P .. 'lines', last and '(' .. last or least, most, 'LIMIT', 0, count)
  if #got < count then
    for _, name in ipairs(call('ZRANGEBYLEX', P .. 'lines', least, most, 'LIMIT', 0, count - #got)) do got[#got + 1] = name end
  end
  return got
end

-- Of more lines than are shown: up to half are the most urgent bins', in rotation within the bin that has more than there is room for; the
-- others come in rotation over all. The cursor names where each of the two goes on (lines come and go: a rank would pass some by).
local function some_lines()
  local length, rest = string.match(cursor, '^(%d+) (.*)$')
  local urgent, last = string.sub(rest or '', 1, tonumber(length or 0)), string.sub(rest or '', tonumber(length or 0) + 1)
  local names, shown, half = {}, {}, math.floor(most_lines / 2)
  local function show(name)
    shown[name] = true
    names[#names + 1] = name
  end
  local next_urgent = ''
  for _, bin in ipairs(BINS) do
    local room, least, most = half - #names, '[' .. bin .. '|', '(' .. bin .. '}' -- the letter after |
    local count = room > 0 and call('ZLEXCOUNT', P .. 'lines', least, most)
    if not count or count == total then break end -- all are of one bin: the rotation is enough
    if count > room then
      local inside = string.sub(urgent, 1, #bin + 1) == bin .. '|' and urgent
      for _, name in ipairs(lines_behind(inside, least, most, room)) do show(name) next_urgent = name end
    else
      for _, name in ipairs(call('ZRANGEBYLEX', P .. 'lines', least, most)) do show(name) end
    end
  end
  for _, name in ipairs(lines_behind(last ~= '' and last, '-', '+', most_lines)) do
    if #names == most_lines then break end
    if not shown[name] then show(name) end
    last = name
  end
  cursor = #next_urgent .. ' ' .. next_urgent .. last
  return names
end

-- Each line shows its first head; MOST_SHOWN more go to the lines of the most urgent bin first, as many to each, up to
-- `most_heads`. What is less urgent starts only when those are placed, and the next turn shows more.
local MOST_SHOWN = 128
local function show_all()
  local names = total <= most_lines and call('ZRANGE', P .. 'lines', 0, -1) or some_lines()
  local by_bin, more = {}, MOST_SHOWN
  for _, line in ipairs(names) do
    local bin = string.match(line, '^[^|]*')
    if not by_bin[bin] then by_bin[bin] = {} end
    by_bin[bin][#by_bin[bin] + 1] = line
  end
  for _, bin in ipairs(BINS) do
    local mine = by_bin[bin] or {}
    local deep = math.min(most_heads, 1 + math.floor(more / math.max(#mine, 1)))
    for _, line in ipairs(mine) do
      local heads = call('ZRANGE', P .. 'line:' .. line, 0, deep - 1, 'WITHSCORES')
      more = more - math.max(0, #heads / 2 - 1)
      local length = #heads < 2 * deep and #heads / 2 or call('ZCARD', P .. 'line:' .. line)
      add_line(line, length, heads)
    end
  end
end

-- The sizes of the tasks that are shown, their jobs, and what these have still to do: each is read at once.
local function work_shown()
  local tasks, jobs, seen = {}, {}, {}
  for _, line in ipairs(lines) do
    for i = 1, #line[3], 2 do
      local task = line[3][i]
      local job = string.match(task, '^(.*):[^:]*:[^:]*$') or ''
      tasks[#tasks + 1] = task
      if not seen[job] then
        seen[job] = true
        jobs[#jobs + 1] = job
      end
    end
  end
  if #tasks == 0 then return {}, {}, {} end
  return call('HMGET', P .. 'sizes', unpack(tasks)), jobs, call('HMGET', P .. 'left', unpack(jobs))
end

if some_jobs then show_jobs(most_lines * math.min(most_heads, 8)) else show_all() end
if EMITTED > 0 then flush() end -- strays were cast out of the lines

-- Nothing is ready: what rings would only wake somebody for nothing.
if not anything then call('DEL', P .. 'wake') end
local due = '-'
if looks or PUT_OFF then
  due = call('ZRANGE', P .. 'delayed', 0, 0, 'WITHSCORES')[2] or ''
  if call('EXISTS', P .. 'rest') == 1 then due = NOW_WORD end -- to go on with
end
local sizes, shown_jobs, left = work_shown()
return {stale, claimed, lines, total, due, cursor, terms(lines), claimed_jobs, sizes, shown_jobs, left,
  looks and call('HGETALL', P .. 'durations'), elsewhere}
