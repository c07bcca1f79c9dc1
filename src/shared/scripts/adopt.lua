-- Takes part in a namespace: goes on with its history, or begins a new one where that cannot be trusted (L3).
-- KEYS: gen seq log epoch. ARGV: server, token of a new generation, highest stamp known, highest epoch known, life in ms.
-- Returns {generation, last, logged, position in the log, epoch, 1 if the generation is new}.
local gen = redis.pcall('GET', KEYS[1])
-- Something of another kind counts as lost; who may not read must not write either.
if type(gen) == 'table' and gen.err and not string.find(gen.err, 'WRONGTYPE') then return gen end
local token, server
if type(gen) == 'string' then token, server = string.match(gen, '^(%S+) (%S+)$') end

local seq = redis.pcall('GET', KEYS[2])
local last, logged, pattern
if type(seq) == 'string' then last, logged, pattern = string.match(seq, '^(%d+) (%d+) (%d+)$') end

-- A log of nothing is there all the same; one that has left took increments with it.
local has_log = redis.call('TYPE', KEYS[3]).ok == 'stream'
local new = server ~= ARGV[1] or not last or not has_log
if new then
  local time = redis.call('TIME')
  local stamp = math.max(time[1] * 1000000 + time[2], (tonumber(last) or 0) + 1, tonumber(ARGV[3]) + 1)
  last = string.format('%.0f', stamp)
  logged, pattern, token = last, last, ARGV[2]
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('UNLINK', KEYS[3])
  redis.call('SET', KEYS[1], token .. ' ' .. ARGV[1])
  redis.call('SET', KEYS[2], last .. ' ' .. logged .. ' ' .. pattern)
  redis.call('XADD', KEYS[3], '*', 'n', last, 'p', '0', 'g', token)
end

if not new and tonumber(last) < tonumber(ARGV[3]) then
  -- What this sidecar has known of another history is over, whatever this server's clock says.
  last = string.format('%.0f', tonumber(ARGV[3]) + 1)
  redis.pcall('SET', KEYS[2], last .. ' ' .. logged .. ' ' .. pattern, 'KEEPTTL')
end

local epoch = tonumber(ARGV[4])
local known = redis.pcall('GET', KEYS[4])
-- What nobody can have set counts as lost: above 2^53 - 1, numbers are no longer exact.
if type(known) == 'string' and string.match(known, '^%d+$') and tonumber(known) <= 9007199254740991 then
  epoch = math.max(epoch, tonumber(known))
end
-- A store that takes no writes now, as it is full or has no replica, is followed all the same: these are tried again.
local highest = string.format('%.0f', epoch)
if known ~= highest then redis.pcall('SET', KEYS[4], highest, 'PX', ARGV[5]) end
for _, key in ipairs(KEYS) do redis.pcall('PEXPIRE', key, ARGV[5]) end

local position = '0-0'
local info = redis.call('XINFO', 'STREAM', KEYS[3])
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then position = info[i + 1] end
end
return {token, last, logged, position, string.format('%.0f', epoch), new and 1 or 0}
