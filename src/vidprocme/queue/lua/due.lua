-- What is due, by line, those that wait longest first. Changes nothing.
-- ARGV: 1 kind, 2 until (ms), 3 most lines, 4 most records of each.
-- Reply: {{line, id ...} ...}
local kind, rows = ARGV[1], {}
for _, line in ipairs(call('ZRANGEBYSCORE', P .. 'due:' .. kind, '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])) do
  local row = call('ZRANGEBYSCORE', P .. 'due:' .. kind .. ':' .. line, '-inf', ARGV[2], 'LIMIT', 0, ARGV[4])
  table.insert(row, 1, line)
  rows[#rows + 1] = row
end
return rows
