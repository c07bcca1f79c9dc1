-- What the scripts share that change a namespace; it stands before each of them.

-- The sequence of this history: the last stamp given, that of the last record, that of the last pattern. Nothing if it has ended.
local function sequence(gen, seq, generation)
  local name, state = redis.pcall('GET', gen), redis.pcall('GET', seq)
  if type(name) ~= 'string' or string.match(name, '^%S+') ~= generation or type(state) ~= 'string' then return nil end
  return string.match(state, '^(%d+) (%d+) (%d+)$')
end

-- A stamp greater than all before it (L2, L3).
local function next_stamp(last)
  local time = redis.call('TIME')
  return math.max(time[1] * 1000000 + time[2], tonumber(last) + 1)
end

-- Adds a record to the log, out of which the oldest leave by their age in ms: by this server's clock, as their places are. Stamps
-- may be ahead of it.
local function append(log, seq, age, record)
  local time = redis.call('TIME')
  local oldest = string.format('%.0f', math.max(time[1] * 1000 - tonumber(age), 0))
  redis.call('XADD', log, 'MINID', '~', oldest, '*', unpack(record))
  -- One that had left is back without a life (L10).
  local life = redis.call('PTTL', seq)
  if life > 0 and redis.call('PTTL', log) < 0 then redis.call('PEXPIRE', log, life) end
end

