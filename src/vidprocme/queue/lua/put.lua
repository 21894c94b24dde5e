-- Put a record, if nobody changed it meanwhile.
-- ARGV: 1 kind, 2 id, 3 document (JSON), 4 wanted: '*' whatever is there, '' nothing is there, else the version it has;
--   5 most records of a kind.
-- Key: <p>rec:<kind>  hash  id -> "<version> <document>";  <p>versions  string  counter, so that a version is never used twice.
-- Reply: {1, new version}; {0, version that is there or ''}; {-1, ''} too many.
local key, id, wanted = P .. 'rec:' .. ARGV[1], ARGV[2], ARGV[4]
local there = call('HGET', key, id)
local version = there and string.match(there, '^%d+') or ''
if wanted ~= '*' and wanted ~= version then return {0, version} end
if not there and call('HLEN', key) >= tonumber(ARGV[5]) then return {-1, ''} end
local new = whole(call('INCR', P .. 'versions'))
call('HSET', key, id, new .. ' ' .. ARGV[3])
return {1, new}
