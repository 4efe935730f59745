-- Removes a consumer, but only one that holds nothing: with it, Redis would forget what it holds.
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
if #redis.call('XPENDING', stream, group, '-', '+', 1, consumer) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
    return 1
end
return 0
