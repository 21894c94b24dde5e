-- with _keep _said
-- Remove an ended job and everything that is kept for it. Its events and counts stay until they are trimmed.
-- ARGV: 1 job, 2 why (asked: any ended one; dropped: only one that failed or was cancelled), 3 most tasks of one call, 4 name of this call ('' to go on).
-- Reply: 2 all of it is gone; 1 call again for the rest (nobody sees the job any more; `trim` would finish it too); 0 it has
--   not ended; -1 there is no such job; -2 it succeeded and is not dropped; -3 another job reuses its frames.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
local job, why = ARGV[1], ARGV[2]
local key = P .. 'job:' .. job
local before = answered(ARGV[4])
if before then return before end
local got = call('HMGET', key, 'going', 'live', 'used', 'n.failed', 'n.dead', 'n.cancelled')
if not got[2] then return -1 end
if not got[1] then
  if tonumber(got[2]) > 0 then return 0 end
  if got[3] then return -3 end
  local bad = (tonumber(got[4]) or 0) + (tonumber(got[5]) or 0) + (tonumber(got[6]) or 0)
  if why == 'dropped' and bad == 0 then return -2 end
  begin_to_forget(job, why)
end
local _, gone = forget_some(job, tonumber(ARGV[3]))
finale()
return answer(ARGV[4], gone and 2 or 1)
