-- Makes tags known that a response is to be stored with: a key that is missing gets a fresh stamp (L3), and all of them live
-- for as long as the response may.
-- KEYS: gen seq tag.... ARGV: generation, life in ms.
-- Returns {up to which stamp the log must have been read before the answer counts, then the state of each tag}.
local last, logged, pattern = sequence(KEYS[1], KEYS[2], ARGV[1])
if not last then return redis.error_reply('GENERATION another history') end

local life = tonumber(ARGV[2])
local stamp
local result = {pattern}
for i = 3, #KEYS do
  local state = redis.pcall('GET', KEYS[i])
  if type(state) == 'string' and string.match(state, '^%d+ %d+ %d+ [%-%d]%d*$') then
    -- Somebody else has made it known after it had left, perhaps with an increment that is in the log.
    if string.match(state, '^%d+ 0 0 ') then result[1] = logged end
    if redis.call('PTTL', KEYS[i]) < life then redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
  else
    stamp = stamp or string.format('%.0f', next_stamp(last))
    state = stamp .. ' 0 0 -'
    redis.call('SET', KEYS[i], state, 'PX', ARGV[2])
    -- An increment may have left with its key, and is in the log.
    result[1] = logged
  end
  result[i - 1] = state
end
if stamp then redis.call('SET', KEYS[2], stamp .. ' ' .. logged .. ' ' .. pattern, 'KEEPTTL') end
return result
