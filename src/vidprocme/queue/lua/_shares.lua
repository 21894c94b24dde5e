-- Part of the prelude: what persons set about bins, and what a claim must keep to.
--
--   <p>ctl            hash    paused|<bin> -> since when (ms)
local BINS = @BINS@

-- What is set, by field of <p>ctl; read once a script, all bins in one call.
local SET
local function set_of(field)
  if not SET then
    local fields = {}
    for i, bin in ipairs(BINS) do fields[i] = 'paused|' .. bin end
    SET = {}
    for i, value in ipairs(call('HMGET', P .. 'ctl', unpack(fields))) do SET[fields[i]] = value end
  end
  return SET[field]
end

-- May this ready task start now? A pool asks for what it saw a moment ago: here, and only here, it is decided.
local function allowed(task)
  return not set_of('paused|' .. task.bin)
end

-- What a decision needs beside the lines: {now ms, {paused bin ...}}.
local function terms()
  local paused = {}
  for _, bin in ipairs(BINS) do
    if set_of('paused|' .. bin) then paused[#paused + 1] = bin end
  end
  return {NOW, paused}
end
