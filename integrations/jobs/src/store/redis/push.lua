-- Stores jobs. ARGV: the queue; of each job its id, payload, time or '', number of attempts, priority, key or ''.
-- Returns the ids: of a job whose key was there already, the id that has it.
local queue = ARGV[1]
local ids = {}
for i = 2, #ARGV, 6 do
    local id, payload, run_at, max_attempts, priority, key = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
    local known = key ~= '' and redis.call('HGET', queue .. ':idempotency', key)
    if known and redis.call('HEXISTS', queue .. ':data', known) == 1 then
        ids[#ids + 1] = known
    else
        ids[#ids + 1] = id
        local job = { run_at = tonumber(run_at) or now, priority = tonumber(priority) }
        redis.call('HSET', queue .. ':data', id, payload)
        redis.call('HSET', OWNERS, id, queue)
        redis.call('HSET', meta(queue, id), 'attempts', 0, 'max_attempts', max_attempts, 'priority', priority, 'run_at', job.run_at,
            'idempotency_key', key)
        if key ~= '' then
            redis.call('HSET', queue .. ':idempotency', key, id)
        end
        wait(queue, id, job, false)
    end
end
register_queue(queue)
tell(queue, ids[1])
return ids
