-- Records that are due: beside each its line (whom it is for), so that what is due is found without reading all of them.
--   <p>due:<kind>  zset  lines that have records; score = when the first of them is due, ms
--   <p>due:<kind>:<line>  zset  its records; score = when each is due, ms

-- The line's place, after something of it changed.
local function relist(kind, line)
  local first = call('ZRANGE', P .. 'due:' .. kind .. ':' .. line, 0, 0, 'WITHSCORES')
  if first[2] then
    call('ZADD', P .. 'due:' .. kind, first[2], line)
  else
    call('ZREM', P .. 'due:' .. kind, line)
  end
end
