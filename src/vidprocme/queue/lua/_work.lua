-- Part of every script's prelude: what work is left in each job, and what is learned of how long work takes (core/work.py).
--
--   <p>left           hash    job that has not ended -> '<submitted ms> {"<stage>|<model, or nothing>": [tasks, sum of their sizes]}': of
--                             its tasks that have not ended
--   <p>sizes          hash    task that is ready, and whose size is known -> it: of all heads of a turn it is read at once
--   <p>durations      hash    '<stage>|<model, or nothing>' -> sums over the attempts of this kind that ended well, in the order of
--                             core.work.Sums, all halved at every @LEARNED@th; a kind that comes after @KINDS@ others is '<stage>|' .. OTHER
-- A task that has no size at all (one that is not known is 0) was planned by a vidprocme that knew of none: it is in none of these.

local OWES, SIZES = {}, {} -- gathered over the script: by job and kind; by task, false: it is not ready any more

-- Its job has this task's work to do (1), or has not any more (-1).
local function owe(task, sign)
  if not task.size then return end
  local kinds = OWES[task.job]
  if not kinds then kinds = {} OWES[task.job] = kinds end
  local change = kinds[task.sort.kind]
  if not change then change = {0, 0} kinds[task.sort.kind] = change end
  change[1], change[2] = change[1] + sign, change[2] + sign * task.size
end

-- What jobs have left, PIECE of them at a time.
local function write_some_left(jobs)
  local sets, leaves = {}, {}
  for i, text in ipairs(call('HMGET', P .. 'left', unpack(jobs))) do
    local job = jobs[i]
    local submitted, json = string.match(text or '', '^(%d+) (.*)$')
    local well, left = pcall(cjson.decode, json or '{}')
    if not well or type(left) ~= 'table' then left = {} end
    for kind, change in pairs(OWES[job]) do
      local had = type(left[kind]) == 'table' and left[kind] or {}
      local tasks, size = (tonumber(had[1]) or 0) + change[1], (tonumber(had[2]) or 0) + change[2]
      left[kind] = tasks > 0 and {tasks, size} or nil
    end
    if next(left) then
      submitted = submitted or JOBS[job].submitted or call('HGET', P .. 'job:' .. job, 'submitted') or '0'
      sets[#sets + 1] = job
      sets[#sets + 1] = submitted .. ' ' .. cjson.encode(left)
    else
      leaves[#leaves + 1] = job
    end
  end
  send('HSET', P .. 'left', sets)
  send('HDEL', P .. 'left', leaves)
end

local function write_left()
  local jobs = {}
  for job in pairs(OWES) do jobs[#jobs + 1] = job end
  for from = 1, #jobs, PIECE do write_some_left({unpack(jobs, from, math.min(from + PIECE - 1, #jobs))}) end
  OWES = {}
end

local function write_sizes()
  local sets, leaves = {}, {}
  for task, size in pairs(SIZES) do
    if size then sets[#sets + 1] = task sets[#sets + 1] = whole(size) else leaves[#leaves + 1] = task end
  end
  send('HSET', P .. 'sizes', sets)
  send('HDEL', P .. 'sizes', leaves)
  SIZES = {}
end

local LEARNED = {} -- by kind, gathered over the script

-- An attempt ended well.
local function learn(task)
  if not task.size then return end
  local size, ms = task.size, math.max(0, NOW - (tonumber(task.started) or NOW))
  local sums = LEARNED[task.sort.kind] or {0, 0, 0, 0, 0, 0, 0, 0}
  LEARNED[task.sort.kind] = sums
  sums[1], sums[2], sums[3] = sums[1] + 1, sums[2] + size, sums[3] + ms
  sums[4], sums[5] = sums[4] + size * size, sums[5] + size * ms
  if task.predicted and task.predicted > 0 then
    local off = math.floor(1000 * math.log(math.max(1, ms) / task.predicted) / math.log(2) + 0.5)
    sums[6], sums[7], sums[8] = sums[6] + 1, sums[7] + math.abs(off), sums[8] + off
  end
end

local function write_durations()
  for kind, sums in pairs(LEARNED) do
    local known = call('HGET', P .. 'durations', kind)
    if not known and call('HLEN', P .. 'durations') >= @KINDS@ then
      kind = string.match(kind, '^[^|]*|') .. @OTHER@
      known = call('HGET', P .. 'durations', kind)
    end
    local at = 0
    for number in string.gmatch(known or '', '-?%d+') do
      at = at + 1
      if sums[at] then sums[at] = sums[at] + tonumber(number) end
    end
    local full = sums[1] >= @LEARNED@
    for i = 1, 8 do sums[i] = whole(full and math.floor(sums[i] / 2) or sums[i]) end
    call('HSET', P .. 'durations', kind, table.concat(sums, ' '))
  end
  LEARNED = {}
end

function write_work()
  write_left()
  write_sizes()
  write_durations()
end
