-- Deletes up to a thousand jobs that have ended. ARGV: the queue, or '' for all; the state; the time before which they have ended.
-- Returns their number.
local deleted = 0
for _, queue in ipairs(ARGV[1] ~= '' and { ARGV[1] } or queues()) do
    local key = queue .. ':' .. ARGV[2]
    local ids = redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. ARGV[3], 'LIMIT', 0, 1000 - deleted)
    for _, id in ipairs(ids) do
        delete(queue, id)
        redis.call('ZREM', key, id)
    end
    if #ids > 0 then
        forget_if_empty(queue)
    end
    deleted = deleted + #ids
    if deleted >= 1000 then
        break
    end
end
return deleted
