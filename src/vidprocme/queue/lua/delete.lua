-- with _due
-- Delete a record, if nobody changed it meanwhile.
-- ARGV: 1 kind, 2 id, 3 wanted: '*' or the version it has; 4 its line, of one that is due.  Key: see put.lua.
-- Reply: {1, ''} deleted; {0, version that is there}; {-1, ''} there is none.
local kind, id, wanted, line = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key = P .. 'rec:' .. kind
local there = call('HGET', key, id)
local version = there and string.match(there, '^%d+')
if there and wanted ~= '*' and wanted ~= version then return {0, version} end
if line then
  call('ZREM', P .. 'due:' .. kind .. ':' .. line, id)
  relist(kind, line)
end
if not there then return {-1, ''} end
call('HDEL', key, id)
return {1, ''}
