-- Read tasks, and for each the places it is in, at one moment. Changes nothing.
-- ARGV: 1 a set or sorted set that is asked about too (name without the prefix) or '', 2 number of fields, then the fields,
--   then the tasks (check_job.py asks for at most 100).
-- Reply: per task {fields {value or nil ...}, score in its line, in ready:<job>, in delayed, in leases, in dead,
--   1 if its holder's set has it or 0, length of att, score (1 for a set) in the set asked about}; what `sizes` has; what is not there is nil.
local asked, count = ARGV[1], tonumber(ARGV[2])
local fields = {}
for i = 1, count do fields[i] = ARGV[2 + i] end
local kind = asked ~= '' and call('TYPE', P .. asked).ok or 'none'

local function within(id)
  if kind == 'zset' then return call('ZSCORE', P .. asked, id) end
  return kind == 'set' and call('SISMEMBER', P .. asked, id) == 1 and '1'
end

local function line_of(text)
  local well, sort = pcall(sort_of, text)
  return well and sort.line
end

local seen = {}
for i = 3 + count, #ARGV do
  local id = ARGV[i]
  local key = P .. 'task:' .. id
  local known = call('HMGET', key, 'line', 'sort', 'job', 'lease')
  local line, holder = known[1] or (known[2] and line_of(known[2])), known[4] and string.match(known[4], '^%d+|%d+|%d+|[^|]*|([^|]*)|')
  seen[#seen + 1] = {
    call('HMGET', key, unpack(fields)),
    line and call('ZSCORE', P .. 'line:' .. line, id),
    known[3] and call('ZSCORE', P .. 'ready:' .. known[3], id),
    call('ZSCORE', P .. 'delayed', id),
    call('ZSCORE', P .. 'leases', id),
    call('ZSCORE', P .. 'dead', id),
    holder and call('SISMEMBER', P .. 'held:' .. holder, id) or 0,
    call('LLEN', P .. 'att:' .. id),
    within(id),
    call('HGET', P .. 'sizes', id),
  }
end
return seen
