-- Somebody looks at a job that waits: pools hear of it with their beats, and say why.
-- ARGV: 1 job. Reply: 1.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
call('ZADD', P .. 'asked', NOW_WORD, ARGV[1])
call('ZREMRANGEBYRANK', P .. 'asked', '0', '-65')
call('PEXPIRE', P .. 'asked', '60000')
return 1
