-- with _heard
-- Extend the leases and the presence of one pool, and take in what it says of itself.
-- ARGV: 1 holder, 2 lease ms, 3 presence ms, 4 report (wire JSON) or '', 5 its own totals since it began (JSON object, name to
--   whole number) or '', 6.. per lease: task, token, progress (0..1) or ''.
-- Reply: {lost tasks' positions (from 1), positions to cancel, 1 if the pool is known or 0, drained nodes, jobs that somebody asked of
--   lately}. A lease that was settled a moment ago is in neither list.
call('DEL', P .. 'none') -- see turn.lua: also on a full server
heard(ARGV[3])
local holder, lease_ms, report = ARGV[1], tonumber(ARGV[2]), ARGV[4]
-- A report that has not changed is not written again: the server's file would grow by it every second.
local presence = P .. 'pool:' .. holder
if call('GET', presence) == report then
  call('PEXPIRE', presence, ARGV[3])
else
  call('SET', presence, report, 'PX', ARGV[3])
end

-- What grew since it was last told is added to everybody's totals: a beat that is said twice, or comes late, adds nothing. Of a
-- pool that never joined, or is forgotten, it is not known what was added before: nothing is.
local told = ARGV[5] ~= '' and call('HGET', P .. 'told', holder)
if told then
  local before, grown = cjson.decode(told), false
  for name, total in pairs(cjson.decode(ARGV[5])) do
    local more = total - (before[name] or 0)
    if more > 0 then
      before[name], grown = total, true
      call('HINCRBY', P .. 'stat', name, whole(more))
    end
  end
  if grown then call('HSET', P .. 'told', holder, cjson.encode(before)) end
end

local lost, cancel, position = {}, {}, 0
for i = 6, #ARGV, 3 do
  position = position + 1
  local task = load(ARGV[i])
  if holds(task, holder, ARGV[i + 1]) then
    call('ZADD', P .. 'leases', NOW + lease_ms, task.id)
    if ARGV[i + 2] ~= '' then call('HSET', task.key, 'progress', ARGV[i + 2]) end
    if stopping(task.job) then cancel[#cancel + 1] = position end
  elseif not (task and settled(task) == ARGV[i + 1]) or call('HGET', task.key, 'swept') == ARGV[i + 1] then
    lost[#lost + 1] = position
  end
end
-- Whoever looks at a job asks again every few seconds.
local asked = call('ZREVRANGEBYSCORE', P .. 'asked', '+inf', whole(NOW - 15000), 'LIMIT', '0', '8')
return {lost, cancel, call('HEXISTS', P .. 'pools', holder), call('HKEYS', P .. 'drained'), asked}
