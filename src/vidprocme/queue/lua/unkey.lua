-- Free an idempotency key, if this job still has it: somebody else may have made the same wish anew meanwhile.
-- ARGV: 1 key, 2 job.
-- Reply: 1; 0 when it is not the job's (any more).
call('DEL', P .. 'none') -- see turn.lua: also on a full server
local key, job = ARGV[1], ARGV[2]
if call('HGET', P .. 'keys', key) ~= job then return 0 end
call('HDEL', P .. 'keys', key)
call('HDEL', P .. 'job:' .. job, 'key')
return 1
