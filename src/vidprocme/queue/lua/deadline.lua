-- Give a job that has not ended another deadline.
-- ARGV: 1 job, 2 ms since the epoch.
-- Reply: 1; 0 when it has ended; -1 when there is no such job.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
local job = ARGV[1]
if not known(job) then return -1 end
if job_of(job).counts.live == 0 then return 0 end
set_deadline(job, tonumber(ARGV[2]))
flush()
return 1
