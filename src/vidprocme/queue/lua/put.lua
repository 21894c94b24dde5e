-- with _due
-- Put a record, if nobody changed it meanwhile.
-- ARGV: 1 kind, 2 id, 3 document (JSON), 4 wanted: '*' whatever is there, '' nothing is there, else the version it has;
--   5 most records of a kind; of one that is due also: 6 its line, 7 when (ms), 8 most records of a line.
-- Key: <p>rec:<kind>  hash  id -> "<version> <document>";  <p>versions  string  counter, so that a version is never used twice.
-- Reply: {1, new version}; {0, version that is there or ''}; {-1, ''} too many; {-2, ''} too many of its line.
local kind, id, wanted, line = ARGV[1], ARGV[2], ARGV[4], ARGV[6]
local key = P .. 'rec:' .. kind
local there = call('HGET', key, id)
local version = there and string.match(there, '^%d+') or ''
if wanted ~= '*' and wanted ~= version then return {0, version} end
if not there and call('HLEN', key) >= tonumber(ARGV[5]) then return {-1, ''} end
local own = line and P .. 'due:' .. kind .. ':' .. line
if own and not there and call('ZCARD', own) >= tonumber(ARGV[8]) then return {-2, ''} end
local new = whole(call('INCR', P .. 'versions'))
call('HSET', key, id, new .. ' ' .. ARGV[3])
if own then
  call('ZADD', own, ARGV[7], id)
  relist(kind, line)
end
return {1, new}
