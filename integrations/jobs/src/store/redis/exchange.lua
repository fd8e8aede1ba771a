-- Stores how attempts have ended, and takes jobs. ARGV: the queue; the consumer; how many jobs it wants; of each attempt the id of the job,
-- the outcome, the number of the attempt, the result, and after how many milliseconds to try again.
-- Returns of each job that was taken its id, payload, attempts, largest number of attempts, and key.
local queue, consumer, want = ARGV[1], ARGV[2], tonumber(ARGV[3])

for i = 4, #ARGV, 5 do
    local id, outcome, attempt, result, after = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], tonumber(ARGV[i + 4])
    local job = facts(queue, id)
    -- What is no longer the consumer's is not its to end.
    if is_held(job, consumer) then
        leave(queue, id, job, false)
        if outcome == 'given back' then
            wait(queue, id, job, true)
        else
            redis.call('HSET', meta(queue, id), 'attempts', attempt, 'result', result, 'done_at', now)
            if outcome == 'retry' then
                job.run_at = after > 0 and math.ceil(exactly + after / 1000) or now
                redis.call('HSET', meta(queue, id), 'run_at', job.run_at)
                enter(queue, id, 'retrying', 'Failed')
                if job.run_at > now then
                    redis.call('ZADD', queue .. ':scheduled', job.run_at, id)
                else
                    enqueue(queue, id, job.priority, false)
                end
            elseif outcome == 'done' then
                enter(queue, id, 'done', 'Done')
            elseif outcome == 'exhausted' then
                enter(queue, id, 'dead', 'Failed')
            else
                enter(queue, id, 'dead', 'Killed')
            end
        end
    end
end

local taken = {}
if want == 0 then
    return taken
end
-- Others take over what this consumer has only if they know of it.
if not redis.call('ZSCORE', queue .. ':workers', consumer) then
    see(queue, consumer)
end
promote(queue, 1000)

local function take(id)
    local job = facts(queue, id)
    local payload = redis.call('HGET', queue .. ':data', id)
    if job.state ~= 'waiting' and job.state ~= 'retrying' then
        if not job.state then
            adopt(queue, id)
        end
    elseif not payload then
        delete(queue, id)
    else
        leave(queue, id, job, true)
        enter(queue, id, 'running', 'Running')
        redis.call('HSET', meta(queue, id), 'locked_by', consumer, 'locked_at', now)
        redis.call('SADD', inflight(queue, consumer), id)
        taken[#taken + 1] = { id, payload, job.attempts, job.max_attempts, key_of(queue, id) }
    end
end

for _, id in ipairs(redis.call('ZRANGE', queue .. ':ranked', 0, want - 1)) do
    redis.call('ZREM', queue .. ':ranked', id)
    take(id)
end
if #taken < want then
    for _, id in ipairs(redis.call('LPOP', queue .. ':active', want - #taken) or {}) do
        take(id)
    end
end
return taken
