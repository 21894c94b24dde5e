-- Move a job to another bin: what waits goes to that bin's lines and keeps its place by age; what runs goes there when it stops
-- running; what is planned later begins there. A job of many tasks takes several calls.
-- ARGV: 1 job, 2 bin, 3 where in its tasks to go on (0 at first), 4 most tasks of one call.
-- Reply: {where to go on, or -1 when all were seen; how many tasks were moved}; {-2, 0} it has ended; {-3, 0} no such job.
local job, bin, from, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local key = P .. 'job:' .. job
if not known(job) then return {-3, 0} end
if tonumber(call('HGET', key, 'live')) == 0 then return {-2, 0} end
local ids = call('LRANGE', P .. 'tasks:' .. job, from, from + most - 1)
local moved = 0
for _, id in ipairs(ids) do
  -- Not all of it is loaded, as `load` does: nothing but its place changes.
  local its = P .. 'task:' .. id
  local got = call('HMGET', its, 'state', 'line', 'score', 'sort')
  local sort = sort_of(got[4])
  local line = got[2] or sort.line
  local task = {id = id, key = its, state = got[1], bin = string.match(line, '^[^|]*'), line = line, score = tonumber(got[3]) or 0, sort = sort}
  if task.state == 'running' then
    if task.bin ~= bin then call('HSET', task.key, 'rebin', bin) else call('HDEL', task.key, 'rebin') end
  elseif task.bin ~= bin then
    rebin(task, bin) -- one that ended too: a retry may bring it back
    if not TERMINAL[task.state] then moved = moved + 1 end
  end
end
-- Once for each move, however many calls it takes and however often they are said.
local got = call('HMGET', key, 'bin', 'job')
if (got[1] or string.match(got[2], '"bin":"(%a+)"')) ~= bin then
  call('HSET', key, 'bin', bin)
  emit('job.moved', job, nil, {bin = bin})
end
finale()
return {#ids < most and -1 or from + most, moved}
