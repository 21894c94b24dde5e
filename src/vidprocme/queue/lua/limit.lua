-- Set how much a bin or a tenant may run at once, and a tenant's weight.
-- ARGV: 1 'bin' or 'tenant', 2 its name, 3 most running at once or '' for no limit, 4 weight ('1' is as if nothing was set; '' for a
--   bin), 5 most tenants about which anything may be set.
-- Reply: 1; -1 when it would be set about too many tenants.
local what, name = ARGV[1], ARGV[2]
local function put(field, value)
  local grew = 0
  if value == '' then grew = -call('HDEL', P .. 'ctl', field) else grew = call('HSET', P .. 'ctl', field, value) end
  if what == 'tenant' and grew ~= 0 and call('HINCRBY', P .. 'ctl', 'tenants', grew) <= 0 then
    call('HDEL', P .. 'ctl', 'tenants')
  end
end
-- A tenant has two fields at most.
local asks = what == 'tenant' and (ARGV[3] ~= '' or ARGV[4] ~= '1')
if asks and (tonumber(call('HGET', P .. 'ctl', 'tenants')) or 0) >= 2 * tonumber(ARGV[5]) then return -1 end
put('most|' .. what .. '|' .. name, ARGV[3])
if what == 'tenant' then put('weight|' .. name, ARGV[4] == '1' and '' or ARGV[4]) end
-- What the old limit held back may start: every pool looks.
RUNG = call('HLEN', P .. 'pools')
ring()
return 1
