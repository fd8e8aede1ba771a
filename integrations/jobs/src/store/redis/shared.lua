-- What the scripts share. Each has this text before its own. The keys are described in mod.rs.

local time = redis.call('TIME')
-- In whole seconds since 1970, as all times that are stored.
local now = tonumber(time[1])
-- With its fraction, to compare it with what is no whole number of seconds.
local exactly = now + tonumber(time[2]) / 1000000

local QUEUES = 'core:apalis:queues:list'
local OWNERS = 'moirai:jobs:queues'
local ENDED = { done = true, dead = true, cancelled = true }

local function meta(queue, id)
    return queue .. ':meta:' .. id
end

local function inflight(queue, consumer)
    return queue .. ':inflight:' .. consumer
end

-- What the scripts need to know of a job. It has no state if it is unknown, or if apalis has pushed it.
local function facts(queue, id)
    local found = redis.call('HMGET', meta(queue, id), 'state', 'priority', 'attempts', 'max_attempts', 'run_at', 'locked_by')
    return {
        state = found[1],
        priority = tonumber(found[2] or 0) or 0,
        attempts = tonumber(found[3] or 0) or 0,
        max_attempts = tonumber(found[4] or 1) or 1,
        run_at = tonumber(found[5] or 0) or 0,
        consumer = found[6],
    }
end

local function is_held(job, consumer)
    return job.state == 'running' and job.consumer == consumer
end

local function register_queue(queue)
    redis.call('ZADD', QUEUES, 'GT', now, queue .. ':workers')
end

-- The names of all queues.
local function queues()
    local names = {}
    for _, key in ipairs(redis.call('ZRANGE', QUEUES, 0, -1)) do
        local name = string.match(key, '^(.+):workers$')
        if name then
            names[#names + 1] = name
        end
    end
    return names
end

-- Forgets the name of a queue that has nothing any more.
local function forget_if_empty(queue)
    if redis.call('EXISTS', queue .. ':data', queue .. ':workers') == 0 then
        redis.call('ZREM', QUEUES, queue .. ':workers')
    end
end

-- Tells all processes of a job that can be taken, on the channel of apalis. Whoever is not allowed to publish does without: consumers look
-- for jobs by themselves, too.
local function tell(queue, id)
    redis.pcall('PUBLISH', 'tasks:' .. queue .. ':active:available', id)
end

-- Puts a job to those that can be taken: behind the others of its priority, or, if there is but one order, before them.
local function enqueue(queue, id, priority, is_first)
    if priority > 0 then
        redis.call('ZADD', queue .. ':ranked', -priority, id)
    else
        redis.call(is_first and 'LPUSH' or 'RPUSH', queue .. ':active', id)
    end
end

local function dequeue(queue, id, priority)
    if priority > 0 then
        redis.call('ZREM', queue .. ':ranked', id)
    else
        redis.call('LREM', queue .. ':active', 1, id)
    end
end

-- Gives a job a state, in which it is found in no other.
local function enter(queue, id, state, status)
    redis.call('HSET', meta(queue, id), 'state', state, 'status', status)
    redis.call('ZADD', queue .. ':ids-' .. state, 0, id)
    if ENDED[state] then
        redis.call('HSET', meta(queue, id), 'done_at', now)
        redis.call('ZADD', queue .. ':' .. state, now, id)
    end
end

-- Has a job wait for its time, or for a consumer.
local function wait(queue, id, job, is_first)
    if job.run_at > now then
        enter(queue, id, 'scheduled', 'Pending')
        redis.call('ZADD', queue .. ':scheduled', job.run_at, id)
    else
        enter(queue, id, 'waiting', 'Pending')
        enqueue(queue, id, job.priority, is_first)
    end
    redis.call('ZADD', queue .. ':pending', job.run_at, id)
end

-- Removes a job from all that its state has put it into. `is_dequeued` says that it has just been taken from those that can be taken.
local function leave(queue, id, job, is_dequeued)
    local state = job.state
    redis.call('ZREM', queue .. ':ids-' .. state, id)
    if state == 'running' then
        if job.consumer then
            redis.call('SREM', inflight(queue, job.consumer), id)
            redis.call('HDEL', meta(queue, id), 'locked_by')
        end
    elseif ENDED[state] then
        redis.call('ZREM', queue .. ':' .. state, id)
    else
        redis.call('ZREM', queue .. ':pending', id)
        if not is_dequeued and redis.call('ZREM', queue .. ':scheduled', id) == 0 then
            dequeue(queue, id, job.priority)
        end
    end
end

-- Has a job be taken as soon as possible, with all its attempts before it.
local function start_anew(queue, id, job)
    redis.call('HSET', meta(queue, id), 'attempts', 0, 'run_at', now)
    redis.call('HDEL', meta(queue, id), 'done_at')
    job.run_at = now
    wait(queue, id, job, false)
end

local function key_of(queue, id)
    local key = redis.call('HGET', meta(queue, id), 'idempotency_key')
    return key and key ~= '' and key
end

local function free_key(queue, id)
    local key = key_of(queue, id)
    if key and redis.call('HGET', queue .. ':idempotency', key) == id then
        redis.call('HDEL', queue .. ':idempotency', key)
    end
end

local function delete(queue, id)
    local job = facts(queue, id)
    if job.state then
        leave(queue, id, job, false)
    end
    free_key(queue, id)
    redis.call('HDEL', queue .. ':data', id)
    redis.call('HDEL', OWNERS, id)
    redis.call('DEL', meta(queue, id))
end

-- Has a job that apalis has pushed wait as ours do. One without a payload is none, and one with a foreign id could not be named.
local function adopt(queue, id)
    if redis.call('HEXISTS', queue .. ':data', id) == 0 then
        return
    end
    if #id ~= 26 or not string.match(id, '^[0-7][0-9A-HJKMNP-TV-Z]+$') then
        redis.call('HSET', meta(queue, id), 'status', 'Killed', 'result', '{"Err":"its id is no ULID"}', 'done_at', now)
        redis.call('ZADD', queue .. ':dead', now, id)
        return
    end
    redis.call('HSETNX', meta(queue, id), 'attempts', 0)
    redis.call('HSETNX', meta(queue, id), 'max_attempts', 1)
    redis.call('HSETNX', meta(queue, id), 'priority', 0)
    redis.call('HSET', meta(queue, id), 'run_at', now)
    redis.call('HSET', OWNERS, id, queue)
    register_queue(queue)
    local key = key_of(queue, id)
    if key then
        redis.call('HSETNX', queue .. ':idempotency', key, id)
    end
    wait(queue, id, { priority = 0, run_at = now }, false)
end

-- Lets those be taken whose time has come, but not more than `most`. Returns their number.
local function promote(queue, most)
    local due = redis.call('ZRANGEBYSCORE', queue .. ':scheduled', '-inf', now, 'LIMIT', 0, most)
    for _, id in ipairs(due) do
        redis.call('ZREM', queue .. ':scheduled', id)
        local job = facts(queue, id)
        if job.state == 'scheduled' then
            redis.call('ZREM', queue .. ':ids-scheduled', id)
            enter(queue, id, 'waiting', 'Pending')
            enqueue(queue, id, job.priority, false)
        elseif job.state == 'retrying' then
            enqueue(queue, id, job.priority, false)
        elseif not job.state then
            adopt(queue, id)
        end
    end
    return #due
end

-- Says that a consumer is alive. It is said to be alive until the end of this second, so that nobody thinks it silent too early.
local function see(queue, consumer)
    redis.call('ZADD', queue .. ':workers', math.ceil(exactly), consumer)
    redis.call('HSET', queue .. ':workers:metadata:' .. consumer, 'backend_name', 'moirai-jobs', 'service', '')
    register_queue(queue)
end

local function forget_consumer(queue, consumer)
    redis.call('ZREM', queue .. ':workers', consumer)
    redis.call('DEL', queue .. ':workers:metadata:' .. consumer)
end

-- A job as the callers get it: its id, queue, payload and fields.
local function record(queue, id)
    local fields = redis.call('HMGET', meta(queue, id), 'state', 'attempts', 'max_attempts', 'priority', 'run_at', 'done_at',
        'locked_at', 'locked_by', 'result', 'idempotency_key')
    if not fields[1] then
        return false
    end
    if fields[1] == 'scheduled' and tonumber(fields[5]) <= now then
        fields[1] = 'waiting'
    end
    return { id, queue, redis.call('HGET', queue .. ':data', id), fields }
end
