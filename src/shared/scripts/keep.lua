-- Renews a lease, or says that it is somebody else's by now.
-- KEYS: lease. ARGV: token, life in ms.
-- Returns 1 if it is still ours.
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
