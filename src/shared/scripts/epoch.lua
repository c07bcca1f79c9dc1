-- Raises the epoch, which never falls.
-- KEYS: epoch. ARGV: the epoch at least, life in ms.
-- Returns the epoch.
local epoch = tonumber(ARGV[1])
local known = redis.pcall('GET', KEYS[1])
-- What nobody can have set counts as lost: above 2^53 - 1, numbers are no longer exact.
if type(known) == 'string' and string.match(known, '^%d+$') and tonumber(known) <= 9007199254740991 then
  epoch = math.max(epoch, tonumber(known))
end
epoch = string.format('%.0f', epoch)
redis.call('SET', KEYS[1], epoch, 'PX', ARGV[2])
return epoch
