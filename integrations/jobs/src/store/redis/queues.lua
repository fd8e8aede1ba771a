-- Counts the jobs of each queue. Returns of each its name, the numbers of waiting, scheduled, running, retrying, done, dead and cancelled
-- jobs, and since when the oldest waiting one could be taken.
local all = {}
for _, queue in ipairs(queues()) do
    local pending = queue .. ':pending'
    local count = function(state)
        return redis.call('ZCARD', queue .. ':ids-' .. state)
    end
    local scheduled = redis.call('ZCOUNT', pending, '(' .. now, '+inf')
    local oldest = redis.call('ZRANGE', pending, 0, 0, 'WITHSCORES')[2] or 0
    all[#all + 1] = {
        queue, redis.call('ZCARD', pending) - scheduled, scheduled, count('running'), count('retrying'), count('done'), count('dead'),
        count('cancelled'), tonumber(oldest),
    }
end
return all
