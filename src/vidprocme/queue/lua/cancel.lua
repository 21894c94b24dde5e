-- with _said
-- Cancel a job: what waits ends at once; what runs learns it from its beat. A job of many tasks takes several calls, or the turns
-- of the pools do the rest; nothing of it starts any more after the first.
-- ARGV: 1 job, 2 name of this call ('' to go on).
-- Reply: 1; 2 call again for the rest; 0 when it had already ended; -1 when there is no such job.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
local job = ARGV[1]
local key = P .. 'job:' .. job
local before = answered(ARGV[2])
if before then return before end
if not known(job) then return -1 end
if tonumber(call('HGET', key, 'live')) == 0 then return 0 end
if call('HEXISTS', key, 'cancel') == 0 then emit('job.cancelled', job, nil, {}) end
stop(job, 'cancel')
if call('ZSCORE', P .. 'rest', 's:' .. job) then go_on_with('s:' .. job) else stop_job(job) end
finale()
return answer(ARGV[2], call('ZSCORE', P .. 'rest', 's:' .. job) and 2 or 1)
