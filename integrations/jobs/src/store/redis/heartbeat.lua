-- Says that a consumer is alive, takes over the jobs of those that are not, and gives back some.
-- ARGV: the queue; the consumer; the lease in seconds; the result of an attempt whose consumer has fallen silent; the ids to give back.
-- Returns the ids of the jobs that are the consumer's.
local queue, consumer, lease, result = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
see(queue, consumer)

-- What is left is taken over by the next heartbeat.
local most = 10000
for _, silent in ipairs(redis.call('ZRANGEBYSCORE', queue .. ':workers', '-inf', exactly - lease)) do
    local ids = redis.call('SPOP', inflight(queue, silent), most)
    for _, id in ipairs(ids) do
        local job = facts(queue, id)
        if job.state == 'running' then
            local attempts = job.attempts + 1
            leave(queue, id, job, false)
            redis.call('HSET', meta(queue, id), 'attempts', attempts, 'result', result)
            if attempts < job.max_attempts then
                redis.call('HDEL', meta(queue, id), 'done_at')
                wait(queue, id, job, true)
            else
                enter(queue, id, 'dead', 'Failed')
            end
        elseif not job.state then
            adopt(queue, id)
        end
    end
    most = most - #ids
    if most <= 0 then
        break
    end
    forget_consumer(queue, silent)
end

for i = 5, #ARGV do
    local id = ARGV[i]
    local job = facts(queue, id)
    if is_held(job, consumer) then
        leave(queue, id, job, false)
        wait(queue, id, job, true)
    end
end
return redis.call('SMEMBERS', inflight(queue, consumer))
