-- Lists jobs, the newest first. ARGV: the queue, or '' for all; the state, or '' for all; an id before which the jobs are, or ''; the
-- largest number of jobs. Returns their records.
local before, limit = ARGV[3], tonumber(ARGV[4])
local states = { 'waiting', 'scheduled', 'running', 'retrying', 'done', 'dead', 'cancelled' }
if ARGV[2] ~= '' then
    states = { ARGV[2] }
end

-- The newest that have been found, sorted. Once there are enough, only newer ones than the last of them are of interest.
local found = {}
for _, queue in ipairs(ARGV[1] ~= '' and { ARGV[1] } or queues()) do
    for _, state in ipairs(states) do
        local newest = before ~= '' and '(' .. before or '+'
        local oldest = #found == limit and '(' .. found[limit][1] or '-'
        local ids = redis.call('ZREVRANGEBYLEX', queue .. ':ids-' .. state, newest, oldest, 'LIMIT', 0, limit)
        if #ids > 0 then
            local merged, old, new = {}, 1, 1
            while #merged < limit and (old <= #found or new <= #ids) do
                if new > #ids or (old <= #found and found[old][1] > ids[new]) then
                    merged[#merged + 1] = found[old]
                    old = old + 1
                else
                    merged[#merged + 1] = { ids[new], queue }
                    new = new + 1
                end
            end
            found = merged
        end
    end
end

local records = {}
for _, job in ipairs(found) do
    local entry = record(job[2], job[1])
    if entry then
        records[#records + 1] = entry
    end
end
return records
