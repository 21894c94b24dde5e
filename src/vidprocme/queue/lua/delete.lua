-- Delete a record, if nobody changed it meanwhile.
-- ARGV: 1 kind, 2 id, 3 wanted: '*' or the version it has.  Key: see put.lua.
-- Reply: {1, ''} deleted; {0, version that is there}; {-1, ''} there is none.
local key, id, wanted = P .. 'rec:' .. ARGV[1], ARGV[2], ARGV[3]
local there = call('HGET', key, id)
if not there then return {-1, ''} end
local version = string.match(there, '^%d+')
if wanted ~= '*' and wanted ~= version then return {0, version} end
call('HDEL', key, id)
return {1, ''}
