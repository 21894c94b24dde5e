-- Part of the prelude: what persons set about bins and tenants, who runs and has used how much, and what a claim must keep to.
--
--   <p>ctl            hash    paused|<bin> -> since when (ms); most|bin|<bin>, most|tenant|<tenant> -> tasks that may run at once;
--                             weight|<tenant> (1 when it is not there); tenants -> fields that are about a tenant
--   <p>running        hash    bin|<bin>, tenant|<tenant> -> tasks that run, over all pools (0: not there)
--   <p>usage          hash    tenant -> "<used> <rate> <at ms>" (core/shares.py): used up to then, decayed; what runs costs `rate`
--                             milli-cores since. Tenants that run nothing are forgotten when there are too many.
local BINS = @BINS@
local START_MS, TAU_MS, TENANTS = @START_MS@, @TAU_MS@, @TENANTS@

local TENANT = {}
local function tenant_of(line)
  if not TENANT[line] then TENANT[line] = string.match(line, '^[^|]*|([^|]*)|') end
  return TENANT[line]
end

-- What is set, by field of <p>ctl; read once a script, all bins in one call, tenants only when anything is set about any.
local SET
local function set_of(field)
  if not SET then
    local fields = {'tenants'}
    for _, bin in ipairs(BINS) do
      fields[#fields + 1] = 'paused|' .. bin
      fields[#fields + 1] = 'most|bin|' .. bin
    end
    SET = {}
    for i, value in ipairs(call('HMGET', P .. 'ctl', unpack(fields))) do SET[fields[i]] = value end
  end
  if SET[field] == nil then SET[field] = SET.tenants and call('HGET', P .. 'ctl', field) end
  return SET[field]
end

-- Gathered over the script, written once: attempts that end and begin in one turn mostly cancel out.
local RUNS, RATES, STARTS = {}, {}, {}
function tally(task, sign)
  local tenant = tenant_of(task.line)
  add(RUNS, 'bin|' .. task.bin, sign)
  add(RUNS, 'tenant|' .. tenant, sign)
  add(RATES, tenant, sign * tonumber(task.rate))
  if sign > 0 then add(STARTS, tenant, tonumber(task.rate)) end
end

local function runs(name)
  return (tonumber(call('HGET', P .. 'running', name)) or 0) + (RUNS[name] or 0)
end

-- May this ready task start now? A pool asks for what it saw a moment ago: here, and only here, it is decided.
local LIMITS = {} -- by line: what is set about its bin and tenant
local function allowed(task)
  local limits = LIMITS[task.line]
  if not limits then
    local bin, tenant = 'bin|' .. task.bin, 'tenant|' .. tenant_of(task.line)
    limits = {paused = set_of('paused|' .. task.bin), [bin] = set_of('most|' .. bin), [tenant] = set_of('most|' .. tenant)}
    limits.none = not limits.paused and not limits[bin] and not limits[tenant]
    limits.names = {bin, tenant}
    LIMITS[task.line] = limits
  end
  if limits.none then return true end
  if limits.paused then return false end
  for _, name in ipairs(limits.names) do
    if limits[name] and runs(name) >= tonumber(limits[name]) then return false end
  end
  return true
end

-- used, rate of a tenant now. While `rate` milli-cores run, used' = rate - used / TAU_MS, which this solves.
local function used_now(text)
  local used, rate, at = string.match(text or '0 0 0', '^(%d+) (%d+) (%d+)$')
  local left = math.exp(-math.max(0, NOW - at) / TAU_MS)
  return math.floor(used * left + rate * TAU_MS * (1 - left) + 0.5), tonumber(rate)
end

-- One tenant too many: of some that run nothing, whoever has used least is as good as new.
local function forget_tenant()
  local some, least, name = call('HRANDFIELD', P .. 'usage', 16, 'WITHVALUES'), nil, nil
  for i = 1, #some, 2 do
    local used, rate = used_now(some[i + 1])
    if rate == 0 and (not least or used < least) then least, name = used, some[i] end
  end
  if name then call('HDEL', P .. 'usage', name) end
end

function write_shares()
  for name, n in pairs(RUNS) do
    if n ~= 0 and call('HINCRBY', P .. 'running', name, n) <= 0 then call('HDEL', P .. 'running', name) end
  end
  for tenant, more in pairs(RATES) do
    local started = STARTS[tenant] or 0
    if more ~= 0 or started > 0 then
      local used, rate = used_now(call('HGET', P .. 'usage', tenant))
      local text = whole(used + started * START_MS) .. ' ' .. whole(math.max(0, rate + more)) .. ' ' .. whole(NOW)
      if call('HSET', P .. 'usage', tenant, text) == 1 and call('HLEN', P .. 'usage') > TENANTS then forget_tenant() end
    end
  end
  RUNS, RATES, STARTS = {}, {}, {}
end

-- What a decision needs beside the lines: {now ms, {bin, paused, most or '', running ...}, {tenant, used, weight, most or '',
-- running ...}}: bins about which something is set, and the tenants of these lines. `running` is 0 where there is no limit.
local function terms(lines)
  local bins, tenants, seen = {}, {}, {}
  local function limit(list, name)
    local most = set_of('most|' .. name)
    list[#list + 1] = most or ''
    list[#list + 1] = most and runs(name) or 0
  end
  for _, bin in ipairs(BINS) do
    if set_of('paused|' .. bin) or set_of('most|bin|' .. bin) then
      bins[#bins + 1] = bin
      bins[#bins + 1] = set_of('paused|' .. bin) and 1 or 0
      limit(bins, 'bin|' .. bin)
    end
  end
  local names, fields = {}, {}
  for _, line in ipairs(lines) do
    local tenant = tenant_of(line[1])
    if not seen[tenant] then
      seen[tenant], names[#names + 1] = true, tenant
      fields[#fields + 1] = 'weight|' .. tenant
      fields[#fields + 1] = 'most|tenant|' .. tenant
    end
  end
  if #names == 0 then return {NOW, bins, tenants} end
  if set_of('tenants') then
    for i, value in ipairs(call('HMGET', P .. 'ctl', unpack(fields))) do SET[fields[i]] = value end
  end
  for i, text in ipairs(call('HMGET', P .. 'usage', unpack(names))) do
    tenants[#tenants + 1] = names[i]
    tenants[#tenants + 1] = whole((used_now(text)))
    tenants[#tenants + 1] = set_of('weight|' .. names[i]) or 1
    limit(tenants, 'tenant|' .. names[i])
  end
  return {NOW, bins, tenants}
end
