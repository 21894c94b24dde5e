-- How an ended job is taken away: some of its tasks in each script, so that none holds the server for long.

-- A job whose frames nobody reuses any more may be trimmed again.
local function let_go(base)
  local key = P .. 'job:' .. base
  if call('EXISTS', key) == 0 or call('HINCRBY', key, 'used', -1) > 0 then return end
  call('HDEL', key, 'used')
  local got = call('HMGET', key, 'ended', 'live', 'n.failed', 'n.dead', 'n.cancelled')
  if not got[1] then return end
  local bad = (tonumber(got[3]) or 0) + (tonumber(got[4]) or 0) + (tonumber(got[5]) or 0)
  call('ZADD', P .. 'ended:' .. (bad > 0 and 'failed' or 'succeeded'), got[1], base)
end

-- From here on nobody sees this job. `why`: asked, dropped, age, count.
local function begin_to_forget(job, why)
  local key = P .. 'job:' .. job
  local got = call('HMGET', key, 'key', 'job')
  if got[1] and call('HGET', P .. 'keys', got[1]) == job then call('HDEL', P .. 'keys', got[1]) end
  for _, list in ipairs({'jobs', 'active', 'deadlines', 'ended:succeeded', 'ended:failed'}) do call('ZREM', P .. list, job) end
  call('HDEL', P .. 'left', job) -- of an ended job there is nothing, unless a vidprocme that knew of none ended it
  call('HSET', key, 'going', NOW)
  call('ZADD', P .. 'going', NOW, job)
  local base = reused(got[2])
  if base then let_go(base) end
  add(TOTALS, 'job.forgotten', 1)
  emit('job.forgotten', job, nil, {why = why})
end

-- Take at most `most` of its tasks. Replies how many went, and whether that was the last of the job.
local function forget_some(job, most)
  local key = P .. 'job:' .. job
  local ids = call('LRANGE', P .. 'tasks:' .. job, 0, most - 1)
  local went = {}
  for _, id in ipairs(ids) do
    -- It has ended: of all places it can only be among the dead letters.
    local state = call('HGET', P .. 'task:' .. id, 'state')
    if state == 'dead' then place(P .. 'dead', id) end
    went[state] = (went[state] or 0) + 1
    call('UNLINK', P .. 'task:' .. id, P .. 'kids:' .. id, P .. 'att:' .. id)
  end
  send('HDEL', P .. 'sizes', ids) -- as with `left`
  for state, n in pairs(went) do
    gain('states', state, -n)
    call('HINCRBY', key, 'n.' .. state, -n)
  end
  call('LTRIM', P .. 'tasks:' .. job, #ids, -1)
  if call('EXISTS', P .. 'tasks:' .. job) == 1 then return #ids, false end
  call('UNLINK', key)
  call('ZREM', P .. 'going', job)
  return #ids, true
end
