-- Takes a lease that nobody has.
-- KEYS: lease, whether somebody waits for it. ARGV: token, life in ms.
-- Returns 0 if it is taken, else for how many ms somebody else has it.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then -- nobody renews what never ends
  left = tonumber(ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
left = math.max(left, 1)
redis.call('SET', KEYS[2], '1', 'PX', left + tonumber(ARGV[2]))
return left
