-- What becomes of a message that is not done. One script, so that it happens as a whole or not at
-- all. The verdict is on one delivery. Sent again because the answer was lost, the script finds that
-- the message is not this worker's any more, or has been delivered to it again, and does nothing.
--
-- The message is given back by the IDLE of XCLAIM: it counts as untouched for so long that the next
-- XAUTOCLAIM of any worker takes it over. (Redis 8.8 has XNACK for this.)
local stream, dead, tally = KEYS[1], KEYS[2], KEYS[3]
local group, consumer, id, delivery, verdict, reason, most, idle = unpack(ARGV)

local pending = redis.call('XPENDING', stream, group, id, id, 1)[1]
if not pending or pending[2] ~= consumer or pending[4] ~= tonumber(delivery) then
    -- The lease had run out, or the verdict was told before. Another worker has the message now, or
    -- this one has it again, or it is done.
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
-- to no attempt does not count. (So a release that is told again can find the next delivery with the
-- same count. Then the answer to that delivery was lost too, since verdicts are told first: nobody
-- has begun it, and to give it back is right.)
local count = deliveries
if verdict == 'released' then count = deliveries - 1 end
redis.call('XCLAIM', stream, group, 'given-back', 0, id, 'IDLE', idle, 'RETRYCOUNT', count, 'JUSTID')
redis.call('HINCRBY', tally, 'given_back', 1)
return 'given_back'
