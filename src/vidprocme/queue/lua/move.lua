-- with _said
-- Move a job to another bin: what waits goes to that bin's lines and keeps its place by age; what runs goes there when it stops
-- running; what is planned later begins there. A job of many tasks takes several calls, or the turns of the pools do the rest.
-- ARGV: 1 job, 2 bin, 3 '' at first, 'on' to go on, 4 name of this call ('' to go on).
-- Reply: {1, how many tasks wait, if it was in another bin; else 0}; {2, the same} call again for the rest; {-2, 0} it has
--   ended; {-1, 0} no such job.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
local job, bin, name = ARGV[1], ARGV[2], 'm:' .. ARGV[1]
local key = P .. 'job:' .. job
local before = answered(ARGV[4])
if before then return before end
if not known(job) then return {-1, 0} end
local waits = 0
if ARGV[3] == '' then
  local owner = job_of(job)
  if owner.counts.live == 0 then return {-2, 0} end
  if (owner.bin or string.match(call('HGET', key, 'job'), '"bin":"(%a+)"')) ~= bin then
    call('HSET', key, 'bin', bin)
    owner.bin = bin
    emit('job.moved', job, nil, {bin = bin})
    waits = owner.counts['n.blocked'] + owner.counts['n.ready'] + owner.counts['n.delayed']
  end
  -- From its first task on, also when it went to yet another bin a moment ago.
  if owner.bin then put_off(job, name, 0, 0) end
end
if call('ZSCORE', P .. 'rest', name) then go_on_with(name) end -- should somebody have moved it elsewhere since: there
finale()
return answer(ARGV[4], {call('ZSCORE', P .. 'rest', name) and 2 or 1, waits})
