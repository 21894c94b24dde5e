-- What is put off (see _steps.lua), beside what jobs count of it, at one moment. Changes nothing.
-- ARGV: 1 most things (with more nothing is read: it would hold the server), then jobs that are asked for too.
-- Reply: {} when there are more; else {{name, job or '', 1 if it is known where to go on} ...}, {job, its count, 1 if it is being
--   retried} ...}, how many places to go on there are.
if call('ZCARD', P .. 'rest') > tonumber(ARGV[1]) then return {} end
local rows, asked, jobs = {}, {}, {}
for i = 2, #ARGV do asked[ARGV[i]] = true end
for _, name in ipairs(call('ZRANGE', P .. 'rest', 0, -1)) do
  local id = string.sub(name, 3)
  local job = string.sub(name, 1, 1) ~= 'r' and id or call('HGET', P .. 'task:' .. id, 'job') or ''
  rows[#rows + 1] = {name, job, call('HEXISTS', P .. 'rest:at', name)}
  if job ~= '' then asked[job] = true end
end
for job in pairs(asked) do
  -- Of one that is being forgotten, tasks are gone that are still on the list: a turn finds nothing to do for them.
  local got = call('HMGET', P .. 'job:' .. job, 'submitted', 'going', 'rest', 'again')
  if got[1] and not got[2] then jobs[#jobs + 1] = {job, got[3] or '0', got[4] and 1 or 0} end
end
return {rows, jobs, call('HLEN', P .. 'rest:at')}
