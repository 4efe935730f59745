-- Removes what every group has settled from the stream, and nothing else. Returns how many.
local stream = KEYS[1]

-- Whether the id a is before the id b. Their parts are compared as digits, since a number in Lua
-- has not room enough for them.
local function is_before(a, b)
    local a_ms, a_seq = a:match('(%d+)-(%d+)')
    local b_ms, b_seq = b:match('(%d+)-(%d+)')
    if a_ms ~= b_ms then
        return #a_ms < #b_ms or (#a_ms == #b_ms and a_ms < b_ms)
    end
    return #a_seq < #b_seq or (#a_seq == #b_seq and a_seq < b_seq)
end

local keep
for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local name, last
    for i = 1, #group, 2 do
        if group[i] == 'name' then name = group[i + 1] end
        if group[i] == 'last-delivered-id' then last = group[i + 1] end
    end
    -- The first that is pending, or else the last that was delivered.
    local first = redis.call('XPENDING', stream, name)[2] or last
    if not keep or is_before(first, keep) then keep = first end
end
if not keep then return 0 end
return redis.call('XTRIM', stream, 'MINID', keep)
