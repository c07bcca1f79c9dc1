-- Gives tags a version they never had, as one atomic change (L2), and says so in the log.
-- KEYS: gen seq log tag.... ARGV: generation, who asked, life of a tag's key in ms, age at which records leave the log in ms,
-- then for each tag: h (hard), s (soft), or a version that the app gives it.
-- Returns {stamp, when one of the tags changed last before}, both 0 if nothing was to be changed.
local last, logged, pattern = sequence(KEYS[1], KEYS[2], ARGV[1])
if not last then return redis.error_reply('GENERATION another history') end

local number = next_stamp(last)
local stamp = string.format('%.0f', number)
local prefix = #KEYS[1] - #'gen' + #'tag:'
local before = 0
local record = {'n', stamp, 'p', logged, 'b', ARGV[2]}
for i = 4, #KEYS do
  local kind = ARGV[i + 1]
  local state = redis.pcall('GET', KEYS[i])
  local current, incremented, hard, app
  if type(state) == 'string' then
    current, incremented, hard, app = string.match(state, '^(%d+) (%d+) (%d+) (%-?%d*)$')
    if app == '' then current = nil end -- nothing that was written here
  end
  local changes = true
  if current then
    before = math.max(before, tonumber(incremented), tonumber(hard))
  else
    incremented, hard, app = '0', '0', '-'
    before = number - 1 -- nobody knows: as if somebody had changed it just now
  end
  if kind == 's' then
    incremented = stamp
  elseif kind == 'h' then
    incremented, hard = stamp, stamp
  else
    changes = app == '-' or tonumber(app) < tonumber(kind)
    if changes then app, hard = kind, stamp end
  end
  if changes then
    local left = redis.call('PTTL', KEYS[i])
    local value = stamp .. ' ' .. incremented .. ' ' .. hard .. ' ' .. app
    if left > tonumber(ARGV[3]) then
      redis.call('SET', KEYS[i], value, 'KEEPTTL')
    else
      redis.call('SET', KEYS[i], value, 'PX', ARGV[3])
    end
    local field = 'v'
    if kind == 'h' or kind == 's' then field = kind else table.insert(record, 'a'); table.insert(record, kind) end
    table.insert(record, field)
    table.insert(record, string.sub(KEYS[i], prefix + 1))
  end
end
if #record == 6 then return {0, 0} end

redis.call('SET', KEYS[2], stamp .. ' ' .. stamp .. ' ' .. pattern, 'KEEPTTL')
append(KEYS[3], KEYS[2], ARGV[4], record)
return {stamp, string.format('%.0f', before)}
