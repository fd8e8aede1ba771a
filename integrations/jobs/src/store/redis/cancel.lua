-- Cancels a job that has not ended. ARGV: its id; the result. Returns whether there was one.
local id = ARGV[1]
local queue = redis.call('HGET', OWNERS, id)
if not queue then
    return 0
end
local job = facts(queue, id)
if not job.state or ENDED[job.state] then
    return 0
end
leave(queue, id, job, false)
redis.call('HSET', meta(queue, id), 'result', ARGV[2])
enter(queue, id, 'cancelled', 'Killed')
return 1
