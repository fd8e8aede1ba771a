-- Has a job that is dead or cancelled, or waits for its next attempt, be taken now. ARGV: its id. Returns whether there was one.
local id = ARGV[1]
local queue = redis.call('HGET', OWNERS, id)
if not queue then
    return 0
end
local job = facts(queue, id)
if job.state ~= 'dead' and job.state ~= 'cancelled' and job.state ~= 'retrying' then
    return 0
end
leave(queue, id, job, false)
start_anew(queue, id, job)
tell(queue, id)
return 1
