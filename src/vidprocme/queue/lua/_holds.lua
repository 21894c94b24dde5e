-- Part of the prelude: the places that pools hold for tasks that are overdue, so that no two pools hold one for the same task.
--
--   <p>reserved       hash    task -> "<pool>|<since when, ms>|<last said, ms>|<place>". Counts while the pool's presence does and its turns say so, and
--                             while the task stands in its line as it stood when that was said: whoever takes it out of there takes it out of here.
local SAID_MS, SAY_AGAIN_MS = 10000, 3000 -- a pool that has not said for so long that it holds a place holds none; after so long it is written again
local RESERVED -- is anything reserved at all? Asked once a script.
local function any_reserved()
  if RESERVED == nil then RESERVED = call('EXISTS', P .. 'reserved') == 1 end
  return RESERVED
end

-- This task does not wait any more, or not where it did.
local function let_go(id)
  if any_reserved() then call('HDEL', P .. 'reserved', id) end
end

-- A pool is gone.
local function let_go_of(pool)
  if not any_reserved() then return end
  local all = call('HGETALL', P .. 'reserved')
  for i = 1, #all, 2 do
    if string.sub(all[i + 1], 1, #pool + 1) == pool .. '|' then call('HDEL', P .. 'reserved', all[i]) end
  end
end

-- What a pool holds, in place of what it said before: `count` times task, place, line and since when it is ready (ms), from `at` on. A task that
-- stands there no longer is left out, and one for which another pool that lives holds a place. Replies the tasks for which others do.
local function reserve(pool, at, count)
  if count == 0 and not any_reserved() then return {} end
  local mine, since, others, elsewhere, alive, gone = {}, {}, {}, {}, {}, {}
  local all = call('HGETALL', P .. 'reserved')
  for i = 1, #all, 2 do
    local id, owner, from, said, where = all[i], string.match(all[i + 1], '^([^|]*)|(%d+)|(%d+)|(.*)$')
    if owner == pool then
      mine[id], since[id] = where, from
      if NOW - tonumber(said) >= SAY_AGAIN_MS then mine[id] = '' end -- to be written again
    else
      if alive[owner] == nil then alive[owner] = call('EXISTS', P .. 'pool:' .. owner) == 1 end
      if alive[owner] and NOW - tonumber(said) < SAID_MS then
        others[id] = true
        elsewhere[#elsewhere + 1] = id
      elseif #gone < 1000 then
        gone[#gone + 1] = id
      end
    end
  end
  local keeps = {}
  for i = at, at + 4 * (count - 1), 4 do
    local task = load(ARGV[i])
    if task and task.state == 'ready' and task.line == ARGV[i + 2] and whole(math.floor(task.score / 1000)) == ARGV[i + 3] and not others[task.id] then
      keeps[task.id] = ARGV[i + 1]
    end
  end
  for id in pairs(mine) do
    if not keeps[id] and #gone < 2000 then gone[#gone + 1] = id end
  end
  if #gone > 0 then call('HDEL', P .. 'reserved', unpack(gone)) end
  for id, where in pairs(keeps) do
    if mine[id] ~= where then
      call('HSET', P .. 'reserved', id, pool .. '|' .. (since[id] or NOW_WORD) .. '|' .. NOW_WORD .. '|' .. where)
    end
  end
  return elsewhere
end
