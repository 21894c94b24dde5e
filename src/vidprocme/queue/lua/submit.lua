-- Put a job with its first tasks in, whole or not at all.
-- ARGV: 1 job id, 2 job (wire JSON), 3 idempotency key or '', 4 name of this call (said again: the same answer),
--   5.. per task: id, spec (wire JSON), meta (JSON, see redis.py).
-- Reply: {1, job} new; {0, job} that job has the key, or the id; {-1, task} an unknown predecessor; {-2, job} whose frames it
--   wants to reuse is not there any more.
local job, text, key, name = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if key ~= '' then
  local other = call('HGET', P .. 'keys', key)
  if other and other ~= job then return {0, other} end
end
if call('EXISTS', P .. 'job:' .. job) == 1 then
  return {call('HGET', P .. 'job:' .. job, 'call') == name and 1 or 0, job}
end
local base = reused(text)
if base and not known(base) then return {-2, base} end
local mine, metas = {}, {}
for i = 5, #ARGV, 3 do
  mine[ARGV[i]] = true
  metas[i] = cjson.decode(ARGV[i + 2])
end
for i = 5, #ARGV, 3 do
  for _, before in ipairs(metas[i].after) do
    if not mine[before] and not load(before) then return {-1, before} end
  end
end
call('HSET', P .. 'job:' .. job, 'job', text, 'submitted', NOW, 'live', 0, 'key', key, 'call', name)
if key ~= '' then call('HSET', P .. 'keys', key, job) end
if base then -- it must not be trimmed before this one
  call('HINCRBY', P .. 'job:' .. base, 'used', 1)
  place(P .. 'ended:succeeded', base)
  place(P .. 'ended:failed', base)
end
place(P .. 'jobs', job, whole(NOW_US))
place(P .. 'active', job, whole(NOW_US))
add(TOTALS, 'job.submitted', 1)
emit('job.submitted', job, nil, {})
job_of(job).touched = true
for i = 5, #ARGV, 3 do insert(ARGV[i], ARGV[i + 1], metas[i], job) end
finale()
return {1, job}
