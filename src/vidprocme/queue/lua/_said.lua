-- What a person asked, and was answered, by the name of the call: said again because the first answer was lost on the way, it gets
-- the same one, and not that there was nothing to do.
--
--   <p>said           list    the last SAID calls that changed something: "<name> <answer, JSON>"
local SAID = 256

-- The answer that this call got; nil when it was not said before. `name`: '' or nil: it has none.
local function answered(name)
  if not name or name == '' then return nil end
  for _, text in ipairs(call('LRANGE', P .. 'said', 0, -1)) do
    if string.sub(text, 1, #name + 1) == name .. ' ' then return cjson.decode(string.sub(text, #name + 2))[1] end
  end
end

local function answer(name, with)
  if name and name ~= '' then
    call('LPUSH', P .. 'said', name .. ' ' .. cjson.encode({with}))
    call('LTRIM', P .. 'said', 0, SAID - 1)
  end
  return with
end
