-- with _keep
-- One step of housekeeping, a bounded one: forget ended jobs that are too old or too many, give up dead letters that are too old
-- or too many, forget pools that are gone. Any number of pools may call it: once nothing is left to do, it does nothing for a while.
-- ARGV: 1 most ended jobs, 2 most ms since a job succeeded, 3 most ms since it failed or was cancelled, 4 most dead letters,
--   5 most ms since a task died (0 in any of these: no bound), 6 ms until it looks again, 7 most tasks of one call.
-- Reply: {jobs forgotten, dead letters given up, 1 if a person should be warned that some will be soon, dead letters, 1 if there is
--   more to do}.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
if call('EXISTS', P .. 'trimmed') == 1 then return {0, 0, 0, 0, 0} end
local most_jobs, ok_ms, bad_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local most_dead, dead_ms, again_ms, left = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local JOBS_A_CALL, POOLS_A_CALL, WARN_MS = 20, 8, 3600000
local OK, BAD = P .. 'ended:succeeded', P .. 'ended:failed'

-- The next job to forget, and why; nil when all may stay. The oldest goes first.
local function too_many_or_old()
  local ok, bad = call('ZRANGE', OK, 0, 0, 'WITHSCORES'), call('ZRANGE', BAD, 0, 0, 'WITHSCORES')
  local ok_at, bad_at = tonumber(ok[2]), tonumber(bad[2])
  if ok_at and ok_ms > 0 and ok_at <= NOW - ok_ms then return ok[1], 'age' end
  if bad_at and bad_ms > 0 and bad_at <= NOW - bad_ms then return bad[1], 'age' end
  if most_jobs > 0 and call('ZCARD', OK) + call('ZCARD', BAD) > most_jobs then
    if not bad_at or (ok_at and ok_at < bad_at) then return ok[1], 'count' end
    return bad[1], 'count'
  end
end

local forgotten, more = 0, false
for _, job in ipairs(call('ZRANGE', P .. 'going', 0, JOBS_A_CALL - 1)) do
  if left > 0 then left = left - forget_some(job, left) end
end
while forgotten < JOBS_A_CALL and left > 0 do
  local job, why = too_many_or_old()
  if not job then break end
  begin_to_forget(job, why)
  left = left - math.max(1, (forget_some(job, left)))
  forgotten = forgotten + 1
end
flush() -- the dead letters of these jobs are gone: below they must not be seen
more = call('EXISTS', P .. 'going') == 1 or too_many_or_old() ~= nil

-- A dead letter that is given up stays in its job, as a failed task, with its error and its attempts; a retry revives it.
local given_up = 0
local function give_up(ids)
  for _, id in ipairs(ids) do
    local task = load(id)
    if task then
      move(task, 'failed', {given_up = true, code = 'DEAD_LETTER_GIVEN_UP'})
      given_up = given_up + 1
    else
      cast_out('dead', id)
    end
    left = left - 1
  end
  flush() -- what is dead is looked at again below
end
if dead_ms > 0 and left > 0 then give_up(call('ZRANGEBYSCORE', P .. 'dead', '-inf', NOW - dead_ms, 'LIMIT', 0, left)) end
local over = most_dead > 0 and call('ZCARD', P .. 'dead') - most_dead or 0
if over > 0 and left > 0 then give_up(call('ZRANGE', P .. 'dead', 0, math.min(over, left) - 1)) end
if given_up > 0 then add(TOTALS, 'dead.given_up', given_up) end

local dead, warn = call('ZCARD', P .. 'dead'), 0
local oldest = call('ZRANGE', P .. 'dead', 0, 0, 'WITHSCORES')
if oldest[1] then
  local many = most_dead > 0 and dead >= 0.8 * most_dead
  local old = dead_ms > 0 and NOW - tonumber(oldest[2]) >= 0.8 * dead_ms
  if (many or old) and call('SET', P .. 'dead:warned', NOW, 'NX', 'PX', WARN_MS) then
    warn = 1
    add(TOTALS, 'dead.warned', 1)
    local task = load(oldest[1])
    emit('dead.warning', task and task.job or '', oldest[1], {count = whole(dead), why = many and 'count' or 'age'})
  end
  more = more or (most_dead > 0 and dead > most_dead) or (dead_ms > 0 and tonumber(oldest[2]) <= NOW - dead_ms)
end

-- A pool whose presence ended and that holds nothing: should it live, it hears with its next beat that it has to join again.
for _, pool in ipairs(call('HRANDFIELD', P .. 'pools', POOLS_A_CALL)) do
  if call('EXISTS', P .. 'pool:' .. pool) == 0 and call('EXISTS', P .. 'held:' .. pool) == 0 then
    call('HDEL', P .. 'pools', pool)
    call('HDEL', P .. 'told', pool)
  end
end

if not more then call('SET', P .. 'trimmed', NOW, 'PX', again_ms) end
finale()
return {forgotten, given_up, warn, dead, more and 1 or 0}
