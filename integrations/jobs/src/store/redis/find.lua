-- Finds a job. ARGV: its id. Returns its record, or nothing.
local queue = redis.call('HGET', OWNERS, ARGV[1])
return queue and record(queue, ARGV[1])
