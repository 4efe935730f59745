-- What becomes of a message that is not done. One script, so that it happens as a whole or not at
-- all. Sent again because the answer was lost, it finds that the message is not this worker's any
-- more. (Unless the worker has taken it over again, and that answer was lost too: then one attempt
-- is counted that was none.)
--
-- The message is given back by the IDLE of XCLAIM: it counts as untouched for so long that the next
-- XAUTOCLAIM of any worker takes it over. (Redis 8.8 has XNACK for this.)
local stream, dead, tally = KEYS[1], KEYS[2], KEYS[3]
local group, consumer, id, verdict, reason, most, idle = unpack(ARGV)

local pending = redis.call('XPENDING', stream, group, id, id, 1)[1]
if not pending or pending[2] ~= consumer then
    -- The lease had run out. Another worker has the message now, or had it and is done.
    return 'overtaken'
end
local deliveries = pending[4]

local entry = redis.call('XRANGE', stream, id, id)[1]
if not entry then
    -- Somebody trimmed the stream. There is nothing left to give back.
    redis.call('XACK', stream, group, id)
    redis.call('HINCRBY', tally, 'trimmed', 1)
    return 'trimmed'
end

if verdict == 'failed' and deliveries >= tonumber(most) then
    local fields = entry[2]
    -- Lua's stack ends at 8,000 values: of a message with more, all go along as one.
    if #fields > 7000 then fields = {'fields', cjson.encode(fields)} end
    redis.call('XADD', dead, '*', 'id', id, 'reason', reason, 'deliveries', deliveries, unpack(fields))
    redis.call('XACK', stream, group, id)
    redis.call('HINCRBY', tally, 'dead_lettered', 1)
    return 'dead_lettered'
end

-- To a consumer that is nobody, so that a worker that leaves holds nothing. A delivery that came
-- to no attempt does not count.
local count = deliveries
if verdict == 'released' then count = deliveries - 1 end
redis.call('XCLAIM', stream, group, 'given-back', 0, id, 'IDLE', idle, 'RETRYCOUNT', count, 'JUSTID')
redis.call('HINCRBY', tally, 'given_back', 1)
return 'given_back'
