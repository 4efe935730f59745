-- Which deliveries to a consumer have ended, although it has given no verdict: the message was
-- acknowledged, taken over, or deleted from the stream. Returns the places, from 0, in the list of ids
-- and numbers of deliveries: first of what has ended, then of what is deleted.
local stream, tally = KEYS[1], KEYS[2]
local group, consumer = ARGV[1], ARGV[2]
-- Longer than any message can be idle, in milliseconds.
local never = 1e15

local function pending(id)
    return redis.call('XPENDING', stream, group, id, id, 1)[1]
end

local ended, deleted = {}, {}
for i = 3, #ARGV, 2 do
    local id, delivery, place = ARGV[i], tonumber(ARGV[i + 1]), (i - 3) / 2
    local found = pending(id)
    if not found or found[2] ~= consumer or found[4] ~= delivery then
        table.insert(ended, place)
    else
        -- This claims nothing, but it forgets what is deleted. XRANGE would fetch all the fields.
        redis.call('XCLAIM', stream, group, consumer, string.format('%d', never), id, 'JUSTID')
        if not pending(id) then
            redis.call('HINCRBY', tally, 'trimmed', 1)
            table.insert(deleted, place)
        end
    end
end
return {ended, deleted}
