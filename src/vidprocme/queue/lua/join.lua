-- with _heard
-- A pool says that it exists, or again how it is (that it drains): its presence, its record, its totals from nothing.
-- ARGV: 1 pool, 2 PoolInfo JSON, 3 presence ms, 4 when it started (what its presence holds before its first report).
-- Reply: 1.
call('DEL', P .. 'none') -- see turn.lua: a full server needs pools above all
heard(ARGV[3])
local pool = ARGV[1]
-- One that is there already keeps its report.
call('SET', P .. 'pool:' .. pool, ARGV[4], 'NX', 'PX', ARGV[3])
call('PEXPIRE', P .. 'pool:' .. pool, ARGV[3])
call('HSET', P .. 'pools', pool, ARGV[2])
call('HSETNX', P .. 'told', pool, '{}')
return 1
