-- Part of every script's prelude: writes that are gathered and made once, by `flush`. A turn that ends a hundred attempts takes
-- them out of the leases with one command, and counts them with another: a command costs the server about a microsecond, and
-- its file a line, whatever it does.
-- Until the flush the keys say what was; a script that reads one of them itself flushes first.
local ZSETS, SETS, LINES, HOLDERS, APPENDED, MINUTE = {}, {}, {}, {}, {}, nil
local TOTALS = {} -- of the hash `stat`
local COUNTS = {stat = TOTALS}
local TRIM_AFTER = 64
local PIECE = 1000 -- most arguments of one command: Lua's stack holds 8000

-- Put a member into a sorted set; without a score, take it out. What was said last holds.
local function place(key, member, score)
  local members = ZSETS[key]
  if not members then members = {} ZSETS[key] = members end
  members[member] = score or false
end

local function belong(key, member, does)
  local members = SETS[key]
  if not members then members = {} SETS[key] = members end
  members[member] = does
end

-- Put a word at the end of a list.
local function append(key, word)
  local words = APPENDED[key]
  if not words then words = {} APPENDED[key] = words end
  words[#words + 1] = word
end

-- Give a job another deadline (ms; 0: none).
local function set_deadline(job, ms)
  call('HSET', P .. 'job:' .. job, 'deadline', whole(ms))
  place(P .. 'deadlines', job, ms > 0 and whole(ms))
end

local function add(totals, name, n) totals[name] = (totals[name] or 0) + n end

-- Add to a number in a hash of counters, by the hash's name.
local function gain(hash, name, n)
  local totals = COUNTS[hash]
  if not totals then totals = {} COUNTS[hash] = totals end
  add(totals, name, n)
end

local function send(command, key, arguments)
  for from = 1, #arguments, PIECE do
    call(command, key, unpack(arguments, from, math.min(from + PIECE - 1, #arguments)))
  end
end

local function flush_zset(key, members)
  local adds, leaves = {}, {}
  for member, score in pairs(members) do
    if score then adds[#adds + 1] = score adds[#adds + 1] = member else leaves[#leaves + 1] = member end
  end
  if #leaves > 0 then send('ZREM', key, leaves) end
  if #adds > 0 then send('ZADD', key, adds) end
end

local function flush_set(key, members)
  local adds, leaves = {}, {}
  for member, does in pairs(members) do
    if does then adds[#adds + 1] = member else leaves[#leaves + 1] = member end
  end
  if #leaves > 0 then send('SREM', key, leaves) end
  if #adds > 0 then send('SADD', key, adds) end
end

-- `lines` and `holders` name those of the keys that hold something. What was put into one is in it.
local function flush_names(list, prefix, names, gathered, put)
  for name in pairs(names) do
    local there = false
    for _, stays in pairs(gathered[prefix .. name] or {}) do
      if stays then there = true break end
    end
    if there then put(list, name) else names[name] = 'maybe' end
  end
end

local function flush_empty(list, prefix, names, command)
  for name, how in pairs(names) do
    if how == 'maybe' and call('EXISTS', prefix .. name) == 0 then call(command, list, name) end
  end
end

local function flush_places()
  flush_names(P .. 'lines', P .. 'line:', LINES, ZSETS, function(key, name) place(key, name, 0) end)
  flush_names(P .. 'holders', P .. 'held:', HOLDERS, SETS, function(key, name) belong(key, name, true) end)
  for key, members in pairs(ZSETS) do flush_zset(key, members) end
  for key, members in pairs(SETS) do flush_set(key, members) end
  for key, members in pairs(APPENDED) do send('RPUSH', key, members) end
  flush_empty(P .. 'lines', P .. 'line:', LINES, 'ZREM')
  flush_empty(P .. 'holders', P .. 'held:', HOLDERS, 'SREM')
  ZSETS, SETS, LINES, HOLDERS, APPENDED = {}, {}, {}, {}, {}
end

local function flush_counts()
  for hash, totals in pairs(COUNTS) do
    local names, sets, known = {}, {}, false
    for name, n in pairs(totals) do
      if n ~= 0 then names[#names + 1] = name end
    end
    for from = 1, #names, PIECE do
      local upto = math.min(from + PIECE - 1, #names)
      for i, value in ipairs(call('HMGET', P .. hash, unpack(names, from, upto))) do
        local name = names[from + i - 1]
        known = known or value
        sets[#sets + 1] = name
        sets[#sets + 1] = whole((tonumber(value) or 0) + totals[name])
      end
    end
    if #sets > 0 then
      send('HSET', P .. hash, sets)
      if hash == MINUTE and not known then call('EXPIRE', P .. hash, SERIES_S) end
    end
  end
  TOTALS = {}
  COUNTS = {stat = TOTALS}
end

local ERROR_TOTALS = {}
local TOOK, WAIT -- upper bounds in ms, see core/counts.py

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
    local others = string.match(name, '^error%.%a+%.') .. @OTHER@
    if call('HINCRBY', P .. 'stat', name, n) == n and name ~= others and call('HINCRBY', P .. 'stat', 'errors', 1) > @ERRORS@ then
      call('HDEL', P .. 'stat', name)
      call('HINCRBY', P .. 'stat', 'errors', -1)
      call('HINCRBY', P .. 'stat', others, n)
    end
  end
  ERROR_TOTALS = {}
end

local function write_jobs()
  for _, job in pairs(JOBS) do
    local sets = job.sets or {}
    job.sets = nil
    for field in pairs(job.changed) do
      sets[#sets + 1] = field
      sets[#sets + 1] = whole(job.counts[field])
    end
    if #sets > 0 then call('HSET', job.key, unpack(sets)) end
    job.changed = {}
  end
end

local write_work -- in _work.lua

-- Write what was gathered.
local function flush()
  write_jobs()
  flush_places()
  flush_counts()
  write_errors()
  write_work()
  MINUTE = nil
  -- After every TRIM_AFTER events or so, by the clock: to look at the stream's end costs as much as to write an event.
  if EMITTED > 0 and NOW_US % TRIM_AFTER < EMITTED then call('XTRIM', P .. 'ev', 'MAXLEN', '~', EVENTS) end
  EMITTED = 0
end

-- One attempt ended: how, after what time, and whether it goes on.
local function count(task, kind, code, again)
  add(TOTALS, 'task.' .. task.stage .. '.' .. kind, 1)
  if kind ~= 'lost' and kind ~= 'cancelled' then
    TOOK = TOOK or @TOOK@
    observe('took.' .. task.stage, TOOK, math.max(0, NOW - (tonumber(task.started) or NOW)))
  end
  if code ~= '' and kind ~= 'ok' and kind ~= 'cancelled' then
    local known = #code <= @CODE_LENGTH@ and string.match(code, @CODE@)
    add(ERROR_TOTALS, 'error.' .. task.stage .. '.' .. (known and code or @OTHER@), 1)
  end
  if again then add(TOTALS, 'retry.' .. task.stage, 1) end
  MINUTE = 'min:' .. math.floor(NOW / 60000)
  gain(MINUTE, task.bin .. '|' .. task.stage .. '|' .. kind .. '|' .. code, 1)
end
