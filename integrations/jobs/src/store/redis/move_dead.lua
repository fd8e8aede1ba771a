-- Moves up to a thousand dead jobs to another queue. ARGV: the one queue; the other; the id after which to go on, or ''.
-- Returns the number of jobs that were moved, and the last id that was looked at.
local from, to = ARGV[1], ARGV[2]
local ids = redis.call('ZRANGEBYLEX', from .. ':ids-dead', ARGV[3] ~= '' and '(' .. ARGV[3] or '-', '+', 'LIMIT', 0, 1000)
local moved = 0
for _, id in ipairs(ids) do
    local key = key_of(from, id)
    local known = key and redis.call('HGET', to .. ':idempotency', key)
    -- Of two jobs with one key, the one that is there already stays.
    local is_free = not known or redis.call('HEXISTS', to .. ':data', known) == 0
    local payload = redis.call('HGET', from .. ':data', id)
    if is_free and payload then
        local job = facts(from, id)
        leave(from, id, job, false)
        free_key(from, id)
        redis.call('HDEL', from .. ':data', id)
        redis.call('RENAME', meta(from, id), meta(to, id))
        redis.call('HSET', to .. ':data', id, payload)
        redis.call('HSET', OWNERS, id, to)
        if key then
            redis.call('HSET', to .. ':idempotency', key, id)
        end
        start_anew(to, id, job)
        moved = moved + 1
    end
end
if moved > 0 then
    register_queue(to)
    forget_if_empty(from)
    tell(to, ids[1])
end
return { moved, ids[#ids] or '' }
