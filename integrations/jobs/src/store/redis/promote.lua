-- Lets up to a thousand jobs be taken whose time has come. ARGV: the queue, or '' for all. Returns their number.
local all = 0
for _, queue in ipairs(ARGV[1] ~= '' and { ARGV[1] } or queues()) do
    all = all + promote(queue, 1000 - all)
    if all >= 1000 then
        break
    end
end
return all
