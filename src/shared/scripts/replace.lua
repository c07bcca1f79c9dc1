-- Replaces what is recorded under a variant, if it is still what it was.
-- KEYS: the record. ARGV: what it was, what it is to be, its life in ms.
-- Returns 1 if it was so, else 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
