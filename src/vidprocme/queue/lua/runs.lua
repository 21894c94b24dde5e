-- What runs, beside what bins and tenants are said to run and to use, at one moment. Changes nothing.
-- ARGV: 1 most leases (with more nothing is read: it would hold the server).
-- Reply: {} when there are more leases; else {<p>running flat, <p>usage flat, {{line, rate} ...}}.
if call('ZCARD', P .. 'leases') > tonumber(ARGV[1]) then return {} end
local rows = {}
for _, id in ipairs(call('ZRANGE', P .. 'leases', 0, -1)) do
  local row = call('HMGET', P .. 'task:' .. id, 'line', 'sort', 'state', 'lease')
  if row[3] == 'running' then
    local well, sort = pcall(sort_of, row[2])
    rows[#rows + 1] = {row[1] or (well and sort.line) or '', string.match(row[4] or '', '^%d+|%d+|(%d+)|') or '0'}
  end
end
return {call('HGETALL', P .. 'running'), call('HGETALL', P .. 'usage'), rows}
