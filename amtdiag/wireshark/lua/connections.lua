-- -------------------------------------------------------------------------------- connections, put in order

local flows, flow_order, oldest, newest, all_bytes = {}, {}, 1, 0, 0

local function forget_oldest()
    local flow = flows[flow_order[oldest]]
    all_bytes = all_bytes - flow.bytes
    flows[flow_order[oldest]] = nil
    flow_order[oldest] = nil
    oldest = oldest + 1
end

local function flow_of(key)
    local flow = flows[key]
    if flow == nil then
        flow = { segments = {}, bytes = 0, base = nil, foreign = nil }
        newest = newest + 1
        flow_order[newest] = key
        flows[key] = flow
        if newest - oldest >= MOST_FLOWS then
            forget_oldest()
        end
    end
    return flow
end

local function forget_flows()
    flows, flow_order, oldest, newest, all_bytes = {}, {}, 1, 0, 0
end

-- Keep what a segment brings. `start` is its place in the stream, `whole` its length on the wire.
local function keep(flow, start, data, whole, frame, ts)
    if start < 0 then
        if start < -MOST_KEPT then
            return
        end
        for _, one in ipairs(flow.segments) do -- the first one seen was not the first one sent
            one.start = one.start - start
        end
        flow.base = flow.base and (flow.base + start) % 4294967296
        start = 0
    end
    if start >= MOST_KEPT or #flow.segments >= MOST_SEGMENTS or flow.bytes >= 4 * MOST_KEPT then
        return
    end
    for _, one in ipairs(flow.segments) do
        if one.frame == frame and one.start == start then
            return
        end
    end
    data = data:sub(1, MOST_KEPT - start)
    flow.bytes = flow.bytes + #data
    all_bytes = all_bytes + #data
    while all_bytes > MOST_IN_ALL and oldest < newest do
        forget_oldest()
    end
    table.insert(flow.segments, { start = start, data = data, whole = whole, frame = frame, ts = ts })
end

-- The stream as far as it was known at a frame: data with zeros in its gaps, the gaps, the parts it is made of.
local function assembled(flow, frame)
    local parts, stop, known = {}, 0, 0
    for order, one in ipairs(flow.segments) do
        if one.frame <= frame then
            parts[#parts + 1] = { start = one.start, stop = one.start + #one.data, one = one, order = order }
            stop = math.max(stop, one.start + #one.data)
            known = math.max(known, one.start + one.whole)
        end
    end
    table.sort(parts, function(a, b)
        if a.start ~= b.start then
            return a.start < b.start
        end
        return a.order < b.order
    end)
    local pieces, gaps, used, at = {}, {}, {}, 0
    for _, part in ipairs(parts) do
        if part.stop > at then
            if part.start > at then
                gaps[#gaps + 1] = { at, part.start }
                pieces[#pieces + 1] = ("\0"):rep(part.start - at)
                at = part.start
            end
            pieces[#pieces + 1] = part.one.data:sub(at - part.start + 1)
            used[#used + 1] = { start = at, one = part.one }
            at = part.stop
        end
    end
    if known > at then
        gaps[#gaps + 1] = { at, known }
    end
    return table.concat(pieces), gaps, used
end

-- Without its first byte, which may be that of a keep-alive.
local function without_first(data, gaps)
    local moved = {}
    for _, gap in ipairs(gaps) do
        moved[#moved + 1] = { math.max(0, gap[1] - 1), gap[2] - 1 }
    end
    return data:sub(2), moved
end

local function read_flow(flow, frame, strict)
    local data, gaps, used = assembled(flow, frame)
    local found, why = parse(data, gaps, strict)
    if not found and #used > 1 and used[1].start == 0 and #used[1].one.data == 1 then
        data, gaps = without_first(data, gaps)
        for _, one in ipairs(used) do
            one.start = one.start - 1
        end
        found, why = parse(data, gaps, strict)
    end
    return found, why, data, gaps, used
end
