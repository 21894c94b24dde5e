-- Add up what the jobs count of their tasks, beside what the queue counts, at one moment. Changes nothing.
-- ARGV: 1 most jobs (with more nothing is added up: it would hold the server), 2.. states.
-- Reply: {} when there are more jobs; else per state {as the queue counts it, as its jobs do}.
if call('ZCARD', P .. 'jobs') + call('ZCARD', P .. 'going') > tonumber(ARGV[1]) then return {} end
local states = {}
for i = 2, #ARGV do states[i - 1] = ARGV[i] end
local fields, sums = {}, {}
for i, state in ipairs(states) do fields[i], sums[i] = 'n.' .. state, 0 end
for _, place in ipairs({'jobs', 'going'}) do
  for _, job in ipairs(call('ZRANGE', P .. place, 0, -1)) do
    for i, n in ipairs(call('HMGET', P .. 'job:' .. job, unpack(fields))) do sums[i] = sums[i] + (tonumber(n) or 0) end
  end
end
local told = {}
for i, state in ipairs(states) do told[i] = {tonumber(call('HGET', P .. 'states', state)) or 0, sums[i]} end
return told
