-- Put planned tasks in, under the lease of the attempt that planned them.
-- ARGV: 1 planning task, 2 holder, 3 token, 4 the tasks' job ('' for no tasks), 5.. per task what task_at says.
-- Reply: how many are new; -1 when the lease is no longer held; -2 when they belong to another job.
local planner = load(ARGV[1])
if not holds(planner, ARGV[2], ARGV[3]) then return -1 end
if ARGV[4] ~= '' and ARGV[4] ~= planner.job then return -2 end
call('DEL', P .. 'none') -- see turn.lua: what follows from work in hand goes in, also on a full server
local new, tasks = 0, {}
for at = 5, #ARGV, TASK_WORDS do tasks[#tasks + 1] = task_at(at) end
for _, task in ipairs(tasks) do
  if insert(task, planner.job) then new = new + 1 end
end
finale()
return new
