-- Says in the log that everything whose logical key matches a pattern is to be forgotten.
-- KEYS: gen seq log. ARGV: generation, who asked, age at which records leave the log in ms, pattern.
-- Returns the stamp.
local last, logged, pattern = sequence(KEYS[1], KEYS[2], ARGV[1])
if not last then return redis.error_reply('GENERATION another history') end

local stamp = string.format('%.0f', next_stamp(last))
redis.call('SET', KEYS[2], stamp .. ' ' .. stamp .. ' ' .. stamp, 'KEEPTTL')
append(KEYS[3], KEYS[2], ARGV[3], {'n', stamp, 'p', logged, 'b', ARGV[2], 'm', ARGV[4]})
return stamp
