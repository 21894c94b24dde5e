-- Whether silence says anything. When the server stood still, or everybody did (a paused machine, a slow disk, a laptop that slept), nobody
-- could have said that he lives: presences and leases that ended in that time mean nothing until everybody had one more presence
-- of time to say so.
--
--   <p>heard          string  "<ms: when anybody was heard last> <ms: from when on silence counts, 0: now> <presence of who spoke last, ms>"
local QUIET = 0.5 -- presences in which nobody is heard, though whoever lives beats three times in each

-- Somebody is heard. `presence`: his (ms); nil of a turn, which looks for the silent if it may. Replies whether it may.
local function heard(presence)
  local last, from, usual = string.match(call('GET', P .. 'heard') or '', '^(%d+) (%d+) (%d+)$')
  if not last and not presence then return true end -- no pool has joined yet
  local looks = not presence
  presence, from = tonumber(presence or usual), tonumber(from or 0)
  local said, before = tonumber(last or 0), from
  -- One more presence, and then one look at least: where everything is slow all the time, the dead are found all the same.
  if from == 0 and last and NOW - said > QUIET * presence then from = NOW + presence end
  from = math.min(from, NOW + presence) -- the clock may have gone back
  local counts = NOW >= from
  if counts and looks then from = 0 end
  -- Not with every call: the server's file would grow by it.
  if from ~= before or presence ~= tonumber(usual) or math.abs(NOW - said) > presence / 16 then
    call('SET', P .. 'heard', NOW_WORD .. ' ' .. whole(from) .. ' ' .. whole(presence))
  end
  return counts
end
