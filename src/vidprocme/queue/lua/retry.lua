-- with _said
-- Give a job's failed, dead and cancelled tasks fresh tries. Succeeded ones are never touched; past attempts stay on record. A job of
-- many tasks takes several calls, or the turns of the pools do the rest; nothing of it starts before all are fresh.
-- ARGV: 1 job, 2 '' at first, 'on' to go on, 3 its deadline from now on (ms) or '': as it was; one that has passed is gone,
--   4 name of this call ('' to go on).
-- Reply: {1, how many tasks are tried again}; {2, the same} call again for the rest; {-1, 0} there is no such job. In a job that is
--   being stopped those that run count, too: their attempts were told to stop, and end as if they were handed back.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
local RETRIES_KEPT = 50
local job, name = ARGV[1], 't:' .. ARGV[1]
local key = P .. 'job:' .. job
local before = answered(ARGV[4])
if before then return before end
if not known(job) then return {-1, 0} end
local owner, fresh = job_of(job), 0
if ARGV[2] == '' then
  fresh = owner.counts['n.failed'] + owner.counts['n.dead'] + owner.counts['n.cancelled']
  local half_stopped = call('ZSCORE', P .. 'rest', 's:' .. job)
  if owner.stop then fresh = fresh + owner.counts['n.running'] end
  if fresh == 0 and not half_stopped and not call('ZSCORE', P .. 'rest', name) then return {1, 0} end
  -- What a cancel has not come to yet goes on as it was.
  call('HDEL', key, 'cancel', 'doom', 'late', 'ended')
  owner.stop, owner.ended = false, false
  if half_stopped then is_done(job, 's:' .. job) end
  place(P .. 'ended:succeeded', job)
  place(P .. 'ended:failed', job)
  place(P .. 'active', job, call('ZSCORE', P .. 'jobs', job))
  local got, given = call('HMGET', key, 'deadline', 'job', 'retried'), tonumber(ARGV[3])
  local deadline = given or tonumber(got[1]) or deadline_of(got[2])
  if given or (deadline > 0 and deadline <= NOW) then set_deadline(job, given or 0)
  elseif deadline > 0 then place(P .. 'deadlines', job, whole(deadline)) end
  local often, times = string.match(got[3] or '0', '^(%d+)(.*)$')
  times = times .. ' ' .. NOW_WORD
  if select(2, string.gsub(times, ' ', '')) > RETRIES_KEPT then times = string.match(times, '^ %d+(.*)$') end
  call('HSET', key, 'retried', whole(tonumber(often) + 1) .. times)
  emit('job.retried', job, nil, {tasks = fresh})
  if call('HSET', key, 'again', NOW_WORD) == 1 then bump(owner, 'live', 1) end
  put_off(job, name, 0, 1) -- one that goes on already begins anew: what failed again meanwhile is fresh, too
end
-- It may have to stand back behind other things of its job, which are gone on with here, too.
while left > 0 and call('ZSCORE', P .. 'rest', name) do
  if has_others(job) then go_on() break end
  go_on_with(name)
end
finale()
return answer(ARGV[4], {call('ZSCORE', P .. 'rest', name) and 2 or 1, fresh})
