-- Says in the log that everything whose logical key matches a pattern is to be forgotten.
-- KEYS: gen seq log. ARGV: generation, who asked, age at which records leave the log in ms, pattern.
-- Returns the stamp.
local gen = redis.pcall('GET', KEYS[1])
if type(gen) ~= 'string' or string.match(gen, '^%S+') ~= ARGV[1] then
  return redis.error_reply('GENERATION another history')
end
local seq = redis.pcall('GET', KEYS[2])
local last, logged
if type(seq) == 'string' then last, logged = string.match(seq, '^(%d+) (%d+) %d+$') end
if not last then return redis.error_reply('GENERATION the sequence is lost') end

local time = redis.call('TIME')
local stamp = string.format('%.0f', math.max(time[1] * 1000000 + time[2], tonumber(last) + 1))
redis.call('SET', KEYS[2], stamp .. ' ' .. stamp .. ' ' .. stamp, 'KEEPTTL')
local oldest = string.format('%.0f', math.max(time[1] * 1000 - tonumber(ARGV[3]), 0))
redis.call('XADD', KEYS[3], 'MINID', '~', oldest, '*', 'n', stamp, 'p', logged, 'b', ARGV[2], 'm', ARGV[4])
-- One that had left is back without a life (L10).
local life = redis.call('PTTL', KEYS[2])
if life > 0 and redis.call('PTTL', KEYS[3]) < 0 then redis.call('PEXPIRE', KEYS[3], life) end
return stamp
