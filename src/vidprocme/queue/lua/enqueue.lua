-- Put planned tasks in, under the lease of the attempt that planned them.
-- ARGV: 1 planning task, 2 holder, 3 token, 4.. per task: id, spec (wire JSON), meta (JSON, see redis.py).
-- Reply: how many are new; -1 when the lease is no longer held; -2 when a task belongs to another job.
local planner = load(ARGV[1])
if not holds(planner, ARGV[2], ARGV[3]) then return -1 end
local metas = {}
for i = 4, #ARGV, 3 do
  metas[i] = cjson.decode(ARGV[i + 2])
  if metas[i].job ~= planner.job then return -2 end
end
local new = 0
for i = 4, #ARGV, 3 do
  if insert(ARGV[i], ARGV[i + 1], metas[i], planner.job) then new = new + 1 end
end
finale()
return new
