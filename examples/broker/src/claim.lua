-- Takes over what nobody has touched for some time, and says how often each message has been
-- delivered. One script, so that nobody acknowledges, deletes or takes over a message in between.
--
-- Returns what XAUTOCLAIM does, with the number of deliveries in each entry.
local stream = KEYS[1]
local group, consumer, min_idle, from, count = unpack(ARGV)

local claimed = redis.call('XAUTOCLAIM', stream, group, consumer, min_idle, from, 'COUNT', count)
local messages = {}
for i, entry in ipairs(claimed[2]) do
    local id, fields = entry[1], entry[2]
    local pending = redis.call('XPENDING', stream, group, id, id, 1)[1]
    messages[i] = {id, fields, pending[4]}
end
return {claimed[1], messages, claimed[3]}
