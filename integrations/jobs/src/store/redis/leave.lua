-- Says that a consumer has ended, and gives back what it still has. ARGV: the queue; the consumer.
local queue, consumer = ARGV[1], ARGV[2]
for _, id in ipairs(redis.call('SMEMBERS', inflight(queue, consumer))) do
    local job = facts(queue, id)
    if is_held(job, consumer) then
        leave(queue, id, job, false)
        wait(queue, id, job, true)
        tell(queue, id)
    end
end
redis.call('DEL', inflight(queue, consumer))
forget_consumer(queue, consumer)
forget_if_empty(queue)
return 0
