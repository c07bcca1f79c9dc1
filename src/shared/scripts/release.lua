-- Gives a lease back, if it is still ours, and says so in the log if somebody waits for it.
-- KEYS: lease, whether somebody waits for it, gen seq log. ARGV: token, generation, variant, age at which records leave the log in ms.
-- Returns 1 if it was ours.
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if redis.call('DEL', KEYS[2]) == 0 then return 1 end
local last, logged, pattern = sequence(KEYS[3], KEYS[4], ARGV[2])
if not last then return 1 end
local stamp = string.format('%.0f', next_stamp(last))
redis.call('SET', KEYS[4], stamp .. ' ' .. stamp .. ' ' .. pattern, 'KEEPTTL')
append(KEYS[5], KEYS[4], ARGV[4], {'n', stamp, 'p', logged, 'd', ARGV[3]})
return 1
