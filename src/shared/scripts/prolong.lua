-- Lets a key live for so long at least.
-- KEYS: the key. ARGV: its life in ms.
-- Returns 1 if it is there, else 0.
local left = redis.call('PTTL', KEYS[1])
if left == -2 then return 0 end
if left >= 0 and left < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
