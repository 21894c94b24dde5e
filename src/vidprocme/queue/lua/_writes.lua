-- Part of every script's prelude: writes that are gathered and made once, by `flush`. A turn that ends a hundred attempts takes
-- them out of the leases with one command, and counts them with another: a command costs the server about a microsecond, and
-- its file a line, whatever it does.
-- Until the flush the keys say what was; a script that reads one of them itself flushes first.
local ZSETS, SETS, LINES, HOLDERS, EMITTED = {}, {}, {}, {}, false
local TOTALS = {} -- of the hash `stat`
local COUNTS = {stat = TOTALS}
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

-- `lines` and `holders` name those of the keys that hold something.
local function flush_names(list, prefix, names, put, drop)
  for name in pairs(names) do
    if call('EXISTS', prefix .. name) == 1 then put(list, name) else drop(list, name) end
  end
end

local function flush_places()
  for key, members in pairs(ZSETS) do flush_zset(key, members) end
  for key, members in pairs(SETS) do flush_set(key, members) end
  ZSETS, SETS = {}, {}
  if next(LINES) then
    flush_names(P .. 'lines', P .. 'line:', LINES, function(key, name) place(key, name, 0) end, place)
    for key, members in pairs(ZSETS) do flush_zset(key, members) end
  end
  if next(HOLDERS) then
    flush_names(P .. 'holders', P .. 'held:', HOLDERS, function(key, name) belong(key, name, true) end,
      function(key, name) belong(key, name, false) end)
    for key, members in pairs(SETS) do flush_set(key, members) end
  end
  ZSETS, SETS, LINES, HOLDERS = {}, {}, {}, {}
end

local function flush_counts()
  for hash, totals in pairs(COUNTS) do
    local names, values, sets = {}, nil, {}
    for name, n in pairs(totals) do
      if n ~= 0 then names[#names + 1] = name end
    end
    for from = 1, #names, PIECE do
      local upto = math.min(from + PIECE - 1, #names)
      values = call('HMGET', P .. hash, unpack(names, from, upto))
      for i, value in ipairs(values) do
        local name = names[from + i - 1]
        sets[#sets + 1] = name
        sets[#sets + 1] = whole((tonumber(value) or 0) + totals[name])
      end
    end
    if #sets > 0 then send('HSET', P .. hash, sets) end
  end
  TOTALS = {}
  COUNTS = {stat = TOTALS}
end
