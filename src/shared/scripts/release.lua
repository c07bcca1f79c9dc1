-- Gives a lease back, if it is still ours, and says so in the log if somebody waits for it.
-- KEYS: lease, whether somebody waits for it, gen seq log. ARGV: token, generation, variant, age at which records leave the log in ms.
-- Returns 1 if it was ours.
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if redis.call('DEL', KEYS[2]) == 0 then return 1 end
local gen = redis.pcall('GET', KEYS[3])
local seq = redis.pcall('GET', KEYS[4])
if type(gen) ~= 'string' or string.match(gen, '^%S+') ~= ARGV[2] or type(seq) ~= 'string' then return 1 end
local last, logged, pattern = string.match(seq, '^(%d+) (%d+) (%d+)$')
if not last then return 1 end
local time = redis.call('TIME')
local stamp = string.format('%.0f', math.max(time[1] * 1000000 + time[2], tonumber(last) + 1))
redis.call('SET', KEYS[4], stamp .. ' ' .. stamp .. ' ' .. pattern, 'KEEPTTL')
local oldest = string.format('%.0f', math.max(time[1] * 1000 - tonumber(ARGV[4]), 0))
redis.call('XADD', KEYS[5], 'MINID', '~', oldest, '*', 'n', stamp, 'p', logged, 'd', ARGV[3])
-- One that had left is back without a life (L10).
local life = redis.call('PTTL', KEYS[4])
if life > 0 and redis.call('PTTL', KEYS[5]) < 0 then redis.call('PEXPIRE', KEYS[5], life) end
return 1
