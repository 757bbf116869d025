-- The Hello of Intel AMT for Wireshark and tshark: protocol `intelamt`.
--
-- `amtdiag wireshark install` writes this file; the tables below come from amtdiag's own reader and from its
-- catalogue of root certificates, so install again after an update. Runs in Lua 5.2 (Wireshark 4.0, 4.2) and
-- in Lua 5.4 (from 4.4 on). ("amt" is taken: Automatic Multicast Tunneling.)
--
-- It is a copy in Lua of amtdiag/protocols/hello.py, which says what each field is and where that is from.
-- Offsets are counted from 0. The bytes are a stranger's: nothing here may raise, loop or grow without bound.

--@GENERATED@

local HEADER = 24
local RECORDS = 25
local MOST_DIGESTS = 255
local MOST_BYTES = RECORDS + MOST_DIGESTS * 257
local MOST_PROBLEMS = 8
local HELLO_ALGORITHMS = { [1] = true, [2] = true, [3] = true }
local MOST_UNDOCUMENTED_VERSION = 15
local MOST_UNDOCUMENTED_RETRY = 1000
local MOST_FLOWS = 65536 -- connections remembered; the oldest goes first
local MOST_SEGMENTS = 1024 -- of one connection
local MOST_KEPT = MOST_BYTES + 4096 -- bytes of one connection
local MOST_IN_A_ROW = 16 -- Hellos right behind each other

local BY_LENGTH = {}
for _, one in pairs(ALGORITHMS) do
    BY_LENGTH[one.length] = one.name
end

local function text(form, ...)
    return string.format(form, ...)
end

-- ------------------------------------------------------------------------------------------ bytes with gaps

local Stream = {}
Stream.__index = Stream

-- `data` has something in the place of each gap; gaps are {first, behind the last} and may lie behind it.
function Stream.new(data, gaps)
    local length = #data
    for _, gap in ipairs(gaps) do
        length = math.max(length, gap[2])
    end
    return setmetatable({ data = data, gaps = gaps, length = length }, Stream)
end

function Stream:has(first, stop)
    if stop > #self.data then
        return false
    end
    for _, gap in ipairs(self.gaps) do
        if gap[1] < stop and first < gap[2] then
            return false
        end
    end
    return true
end

function Stream:byte(at)
    return self.data:byte(at + 1)
end

function Stream:number(first, size)
    if not self:has(first, first + size) then
        return nil
    end
    local value = 0
    for at = first + size - 1, first, -1 do
        value = value * 256 + self:byte(at)
    end
    return value
end

-- --------------------------------------------------------------------------------------------------- parser

local function hex(data)
    return (data:gsub(".", function(one)
        return text("%02x", one:byte())
    end))
end

local function uuid_text(wire)
    local h = hex(wire:sub(4, 4) .. wire:sub(3, 3) .. wire:sub(2, 2) .. wire:sub(1, 1)
        .. wire:sub(6, 6) .. wire:sub(5, 5) .. wire:sub(8, 8) .. wire:sub(7, 7) .. wire:sub(9, 16))
    return text("%s-%s-%s-%s-%s", h:sub(1, 8), h:sub(9, 12), h:sub(13, 16), h:sub(17, 20), h:sub(21))
end

local function safe(data)
    return (data:gsub(".", function(one)
        local code = one:byte()
        if code == 0x5c then
            return "\\\\"
        end
        return (code >= 0x20 and code < 0x7f) and one or text("\\x%02x", code)
    end))
end

local ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

local function is_valid_pid(pid)
    if #pid ~= 8 or pid:find("[^0-9A-Z]") then
        return false
    end
    local sum = 0
    for at = 1, 7 do
        sum = sum + pid:byte(at)
    end
    local place = sum % 36 + 1
    return ALPHABET:sub(place, place) == pid:sub(8)
end

local function digest_of(index, at, id, value)
    local known = ALGORITHMS[id]
    local name = known and known.name
    if not known or known.length ~= #value then
        name = BY_LENGTH[#value] or "unknown"
    end
    return { index = index, at = at, id = id, value = value, algorithm = name }
end

-- True where records of one size explain the visible headers from `at` on, at least one of them.
local function fits(stream, at, remaining, size)
    local visible = 0
    for number = 0, remaining - 1 do
        local header = at + number * size
        if header >= #stream.data then
            break
        end
        if stream:has(header, header + 2) then
            local known = ALGORITHMS[stream:byte(header)]
            if not known or 2 + known.length ~= size or stream:byte(header + 1) ~= known.length then
                return false
            end
            visible = visible + 1
        end
    end
    return visible > 0
end

local function only(sizes)
    local first, more = next(sizes)
    if first and next(sizes, first) == nil then
        return first, more
    end
    return nil
end

local function bridge(stream, at, remaining, sizes)
    local candidates = {}
    if only(sizes) then
        candidates = sizes
    else
        for _, one in pairs(ALGORITHMS) do
            candidates[2 + one.length] = true
        end
    end
    local found = nil
    for size in pairs(candidates) do
        if fits(stream, at, remaining, size) then
            if found then
                return nil
            end
            found = size
        end
    end
    return found
end

-- Read the records, `declared` of them or as many as there are: digests, where the list ends, is that certain.
local function walk(stream, declared)
    local digests, sizes, at = {}, {}, RECORDS
    local most = declared or MOST_DIGESTS
    for index = 0, most - 1 do
        if declared == nil and at >= stream.length then
            return digests, at, at == stream.length
        end
        if stream:has(at, at + 2) then
            local id, length = stream:byte(at), stream:byte(at + 1)
            sizes[2 + length] = true
            if stream:has(at + 2, at + 2 + length) then
                digests[#digests + 1] = digest_of(index, at, id, stream.data:sub(at + 3, at + 2 + length))
            end
            at = at + 2 + length
        else
            local size = bridge(stream, at, most - index, sizes)
            if size == nil and declared ~= nil and at + 1 >= #stream.data then
                size = only(sizes) -- the list is cut: the rest is taken to be like what is there
            end
            if size == nil then
                return digests, math.max(at, stream.length), false
            end
            at = at + size
        end
    end
    return digests, at, true
end

local function list_problems(problems, digests, declared)
    local count = 0
    local function say(kind, what)
        count = count + 1
        problems[#problems + 1] = { kind = kind, text = what }
    end
    if declared == 0 then
        say("no_digest", "the list holds no digest")
    end
    if declared and declared > MAX_DIGESTS + 1 then
        say("many_digests", text("%d digests, documented are up to %d", declared, MAX_DIGESTS))
    end
    for _, one in ipairs(digests) do
        local known, length = ALGORITHMS[one.id], #one.value
        if not known then
            say("unknown_algorithm", text("digest %d has the unknown algorithm %d", one.index, one.id))
        elseif known.length ~= length then
            say("digest_length", text("digest %d has %d bytes, but algorithm %d (%s) has %d",
                one.index, length, one.id, known.name, known.length))
        elseif not HELLO_ALGORITHMS[one.id] then
            say("odd_algorithm",
                text("digest %d is %s, which no documented Hello carries", one.index, known.name))
        end
        if count >= MOST_PROBLEMS then
            return
        end
    end
end

-- Who cut a message, the sender or the capture, cannot be told while its connection goes on.
local function cut_problem(stream, stop, declared, whole)
    local kind, what = "cut", text("the message is cut: %d of %d bytes reach", math.min(#stream.data, stop), stop)
    if #stream.gaps > 0 then
        local places = {}
        for at = 1, math.min(4, #stream.gaps) do
            places[at] = text("%d-%d", stream.gaps[at][1], stream.gaps[at][2] - 1)
        end
        kind = "gap"
        what = text("bytes %s of the message are not in the capture", table.concat(places, ", "))
    end
    if declared then
        what = text("%s; %d of %d digests are whole", what, whole, declared)
    end
    return { kind = kind, text = what }
end

local function missing_bytes(stream, stop, certain)
    if not certain then
        stop = math.max(stop, stream.length)
    end
    local sum = math.max(0, stop - #stream.data)
    for _, gap in ipairs(stream.gaps) do
        if gap[1] < #stream.data then
            sum = sum + math.max(0, math.min(gap[2], stop) - gap[1])
        end
    end
    return sum
end

local function read(stream)
    local problems = {}
    local function say(kind, what)
        problems[#problems + 1] = { kind = kind, text = what }
    end
    local flag, version, retry = stream:number(0, 2), stream:number(2, 2), stream:number(4, 4)
    local found = { version = version, flag = flag, retry = retry, digests = {}, problems = problems }
    if stream:has(8, HEADER) then
        found.uuid = uuid_text(stream.data:sub(9, HEADER))
        if PLACEHOLDERS[found.uuid] then
            say("placeholder_uuid", PLACEHOLDERS[found.uuid])
        end
    end
    if flag and flag > 1 then
        say("flag", text("administrator-credentials flag is %d, documented are 0 and 1", flag))
    end
    if retry and retry > MAX_RETRY then
        say("retry", text("retry count is %d, documented are 0 to %d", retry, MAX_RETRY))
    end
    local stop, certain = HEADER, true
    if version == 2 then
        found.kind = "psk"
        stop = HEADER + 8
        if stream:has(HEADER, stop) then
            local raw = stream.data:sub(HEADER + 1, stop)
            found.pid, found.pid_ok = safe(raw), is_valid_pid(raw)
            if not found.pid_ok then
                say("pid", "the PID's check character is wrong")
            end
        end
    elseif version == 3 or (version == nil and #stream.gaps > 0) then
        found.kind = version == 3 and "pki" or "unknown"
        found.declared = stream:number(HEADER, 1)
        found.digests, stop, certain = walk(stream, found.declared)
        list_problems(problems, found.digests, found.declared)
    else
        found.kind = "unknown"
        say("version", text("version %s is undocumented: only the header is read",
            version and text("%d", version) or "None"))
        certain = false
    end
    found.missing = missing_bytes(stream, stop, certain)
    local whole = found.declared == nil or #found.digests == found.declared
    found.complete = stream:has(0, stop) and certain and whole and version ~= nil
    if not found.complete and (certain or version == nil or version == 3) then
        problems[#problems + 1] = cut_problem(stream, stop, found.declared, #found.digests)
    end
    found.stop = stop
    found.trailing = (certain and found.complete) and math.max(0, stream.length - stop) or 0
    local cut_behind = false
    for _, gap in ipairs(stream.gaps) do
        cut_behind = cut_behind or (gap[1] < stream.length and stop < gap[2])
    end
    if found.trailing > 0 and not cut_behind then
        if found.trailing == PADDING and not stream.data:sub(stop + 1):find("[^\0]") then
            say("padding", text("%d bytes of padding follow, as from Realtek's DASH firmware", found.trailing))
        else
            say("trailing", text("%d bytes follow the message", found.trailing))
        end
    end
    return found
end

-- Why the header cannot be that of a Hello, or nil.
local function refusal(stream, strict)
    if #stream.data == 0 then
        return "no bytes"
    end
    if not stream:has(0, 4) then
        if not strict and #stream.gaps > 0 and #(walk(stream, nil)) >= 2 then
            return nil -- its beginning is missing, but what follows can only be a list of digests
        end
        return #stream.gaps == 0 and "too short to tell" or "its beginning was not captured"
    end
    local flag, version, retry = stream:number(0, 2), stream:number(2, 2), stream:number(4, 4)
    local documented = version == 2 or version == 3
    if strict then
        if flag > 1 then
            return "flag is neither 0 nor 1"
        end
        return not documented and "version is neither 2 nor 3" or nil
    end
    if flag <= 1 and documented then
        return nil
    end
    if stream.length < HEADER then
        return "shorter than a header, with an undocumented flag or version"
    end
    if documented then
        return nil
    end
    if flag > 1 or version < 1 or version > MOST_UNDOCUMENTED_VERSION then
        return "flag and version are those of no Hello"
    end
    if retry and retry > MOST_UNDOCUMENTED_RETRY then
        return "undocumented version with an implausible retry count"
    end
    return nil
end

local function strict_refusal(found, stream)
    if found.trailing > PADDING then
        return "other bytes follow"
    end
    if found.version == 2 then
        return not found.pid_ok and "the PID's check character is wrong" or nil
    end
    if #found.digests == 0 then
        return "no whole digest"
    end
    for _, one in ipairs(found.digests) do
        local known = ALGORITHMS[one.id]
        if not HELLO_ALGORITHMS[one.id] or not known or known.length ~= #one.value then
            return "the digest list is not consistent"
        end
    end
    if not found.complete and #stream.gaps == 0 and found.missing == 0 then
        return "the digest list is not consistent"
    end
    return nil
end

-- A Hello, or nil and why these bytes are none.
local function parse(data, gaps, strict)
    local stream = Stream.new(data, gaps or {})
    local why = refusal(stream, strict)
    if why then
        return nil, why
    end
    local found = read(stream)
    why = strict and strict_refusal(found, stream)
    if why then
        return nil, why
    end
    return found
end

-- What the catalogue says of the digests, at a date such as 2026-11-23: name and verdicts, gravest first.
local function judge(digests, date)
    local seen = {}
    for _, one in ipairs(digests) do
        local known, root = ALGORITHMS[one.id], CATALOGUE[hex(one.value)]
        local malformed = not known or known.name ~= one.algorithm or known.length ~= #one.value
        local zero = not one.value:find("[^\0]")
        local weak = root ~= nil and root[3]
        local verdicts = {}
        local function holds(name, true_)
            if true_ then
                verdicts[#verdicts + 1] = name
            end
        end
        holds("malformed", malformed)
        holds("all-zero", #one.value > 0 and zero)
        holds("unknown", not root and not zero and not malformed)
        holds("duplicate", seen[one.value])
        holds("expired", root and date and root[2] < date)
        holds("weak", weak)
        holds("unusable-on-me16", one.algorithm == "sha1" or weak)
        holds("named", #verdicts == 0)
        seen[one.value] = true
        one.name, one.verdicts, one.weak = root and root[1], verdicts, weak
    end
end

-- -------------------------------------------------------------------------------- connections, put in order

local flows, flow_order, flow_next = {}, {}, 0

local function flow_of(key)
    local flow = flows[key]
    if flow == nil then
        flow = { segments = {}, bytes = 0, base = nil, known = 0 }
        flow_next = flow_next % MOST_FLOWS + 1
        if flow_order[flow_next] then
            flows[flow_order[flow_next]] = nil
        end
        flow_order[flow_next] = key
        flows[key] = flow
    end
    return flow
end

local function forget_flows()
    flows, flow_order, flow_next = {}, {}, 0
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
    local at = #flow.segments + 1
    table.insert(flow.segments, at, { start = start, data = data, whole = whole, frame = frame, ts = ts })
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

if Proto == nil then
    return { parse = parse, judge = judge, flow_of = flow_of, keep = keep, read_flow = read_flow, hex = hex }
end
if _G.intelamt_is_loaded then
    return -- from the plugin folder and from the command line
end
_G.intelamt_is_loaded = true

-- ------------------------------------------------------------------------------------------------ Wireshark

local proto = Proto("intelamt", "Intel AMT setup")

local FLAGS = { [0] = "not set", [1] = "set" }
local VERSIONS = { [2] = "pre-shared key", [3] = "remote configuration" }
local ALGORITHM_NAMES = {}
for id, one in pairs(ALGORITHMS) do
    ALGORITHM_NAMES[id] = one.name
end

local f = {
    flag = ProtoField.uint16("intelamt.flag", "Administrator credentials", base.DEC, FLAGS),
    version = ProtoField.uint16("intelamt.version", "Interface version", base.DEC, VERSIONS),
    kind = ProtoField.string("intelamt.type", "Type"),
    retry = ProtoField.uint32("intelamt.retry", "Retry count", base.DEC),
    uuid = ProtoField.guid("intelamt.uuid", "Platform UUID"),
    uuid_wire = ProtoField.guid("intelamt.wire_uuid", "Platform UUID, bytes as sent"),
    pid = ProtoField.string("intelamt.pid", "PID"),
    pid_ok = ProtoField.bool("intelamt.good_pid", "The PID's check character is right"),
    declared = ProtoField.uint8("intelamt.digests", "Digests", base.DEC),
    digest = ProtoField.none("intelamt.digest", "Digest"),
    index = ProtoField.uint8("intelamt.digest.index", "Place in the list", base.DEC),
    algorithm_id = ProtoField.uint8("intelamt.digest.algorithm_id", "Algorithm", base.DEC, ALGORITHM_NAMES),
    length = ProtoField.uint8("intelamt.digest.length", "Length", base.DEC),
    value = ProtoField.bytes("intelamt.digest.value", "Digest"),
    algorithm = ProtoField.string("intelamt.digest.algorithm", "Kind"),
    name = ProtoField.string("intelamt.digest.name", "Root certificate"),
    verdict = ProtoField.string("intelamt.digest.verdict", "Verdict"),
    verdicts = ProtoField.string("intelamt.digest.verdicts", "All verdicts"),
    padding = ProtoField.bytes("intelamt.rest", "What follows the message"),
    complete = ProtoField.bool("intelamt.complete", "Whole"),
    missing = ProtoField.uint32("intelamt.missing", "Missing bytes", base.DEC),
    trailing = ProtoField.uint32("intelamt.trailing", "Bytes behind the message", base.DEC),
    problem = ProtoField.string("intelamt.problem", "Problem"),
    segment = ProtoField.framenum("intelamt.segment", "Carried by frame"),
    later = ProtoField.framenum("intelamt.later", "Goes on in frame"),
    hint = ProtoField.string("intelamt.hint", "Hint"),
    bug = ProtoField.string("intelamt.bug", "This dissector failed"),
}
proto.fields = f

-- One expert field a kind of problem: name of the filter behind "intelamt.", severity, what it is.
local KINDS = {
    placeholder_uuid = { expert.severity.WARN, "The UUID identifies nobody" },
    flag = { expert.severity.WARN, "Undocumented administrator-credentials flag" },
    retry = { expert.severity.NOTE, "Undocumented retry count" },
    pid = { expert.severity.ERROR, "Wrong PID" },
    version = { expert.severity.WARN, "Undocumented version" },
    no_digest = { expert.severity.ERROR, "No digest" },
    many_digests = { expert.severity.WARN, "More digests than documented" },
    unknown_algorithm = { expert.severity.WARN, "Unknown digest algorithm" },
    digest_length = { expert.severity.WARN, "Digest length and algorithm do not belong together" },
    odd_algorithm = { expert.severity.WARN, "Digest algorithm that no documented Hello carries" },
    cut = { expert.severity.WARN, "The message is cut" },
    gap = { expert.severity.WARN, "Bytes of the message are not in the capture" },
    padding = { expert.severity.CHAT, "Padding follows" },
    trailing = { expert.severity.WARN, "Bytes follow the message" },
    unknown_root = { expert.severity.NOTE, "No catalogue names this root: user- or OEM-added, or planted" },
    bad_digest = { expert.severity.WARN, "A digest of no use" },
}
local experts = {}
for kind, one in pairs(KINDS) do
    local group = (kind == "cut" or kind == "gap") and expert.group.REASSEMBLE or expert.group.PROTOCOL
    experts[kind] = ProtoExpert.new("intelamt.expert." .. kind, one[2], group, one[1])
end
proto.experts = experts

local tcp_stream, tcp_seq = Field.new("tcp.stream"), Field.new("tcp.seq")
local tcp_seq_raw, tcp_len = Field.new("tcp.seq_raw"), Field.new("tcp.len")

local function last_of(field)
    local all = { field() }
    local info = all[#all]
    return info and tonumber(tostring(info.value)) or nil
end

local ports = {} -- {from, to}

local function is_ours(port)
    for _, one in ipairs(ports) do
        if port >= one[1] and port <= one[2] then
            return true
        end
    end
    return false
end

local function set_ports(words)
    ports = {}
    for word in tostring(words):gmatch("[^,%s]+") do
        local from, to = word:match("^(%d*)%-?(%d*)$")
        if from and word:find("%d") then
            local low = tonumber(from) or 0
            local high = tonumber(to) or (word:find("-", 1, true) and 65535) or low
            ports[#ports + 1] = { low, high }
        end
    end
end

proto.prefs.ports = Pref.range("TCP ports", "9971-9972", "Where provisioning servers wait for Hellos", 65535)
proto.prefs.elsewhere = Pref.bool("Look on all other ports", true,
    "Recognise Hellos on any TCP port, by their content")

-- Put a segment where it belongs in its connection and return that, or nil where it cannot be told.
local function place(buffer, pinfo)
    local stream, raw, relative = last_of(tcp_stream), last_of(tcp_seq_raw), last_of(tcp_seq)
    if not stream or not (raw or relative) then
        return nil
    end
    raw = raw or relative
    local flow = flow_of(text("%d %s %d %d", stream, tostring(pinfo.src), pinfo.src_port, pinfo.dst_port))
    if flow.base == nil then
        -- Relative numbers begin at 1 with the first byte. Without them, with the first segment seen.
        flow.base = relative and relative ~= raw and (raw - relative + 1) % 4294967296 or raw
    end
    local start = (raw - flow.base) % 4294967296
    if start >= 2147483648 then
        start = start - 4294967296
    end
    local whole = buffer:reported_len()
    if tcp_len and last_of(tcp_len) and last_of(tcp_len) ~= whole then
        -- TCP put segments together itself: they fill the first gap.
        local data, gaps = assembled(flow, pinfo.number)
        start = gaps[1] and gaps[1][1] or #data
    end
    if not pinfo.visited then
        local ts = tonumber(tostring(pinfo.abs_ts))
        keep(flow, start, buffer:raw(0, math.min(buffer:len(), MOST_KEPT)), whole, pinfo.number, ts)
    end
    return flow
end

local function date_of(used, pinfo)
    local ts = tonumber(tostring(pinfo.abs_ts))
    for _, one in ipairs(used) do
        if one.one.ts and (not ts or one.one.ts < ts) then
            ts = one.one.ts
        end
    end
    local fine, date = pcall(os.date, "!%Y-%m-%d", math.floor(ts or 0))
    return fine and date or nil
end

local function generated(item)
    item:set_generated()
    return item
end

-- Wireshark keeps segments from all dissectors that came out of order, unless told otherwise.
local function hides_segments()
    local fine, hidden = pcall(get_preference, "tcp.no_subdissector_on_error")
    return not fine or hidden ~= false
end

local function add_problem(item, problem)
    local shown = generated(item:add(f.problem, problem.text))
    shown:add_proto_expert_info(experts[problem.kind], problem.text)
    if problem.kind == "gap" and hides_segments() then
        generated(item:add(f.hint, "if they came late, in the wrong order, switch the preference "
            .. "tcp.no_subdissector_on_error off"))
    end
end

local function add_digests(item, tvb, found)
    for _, one in ipairs(found.digests) do
        local range = tvb(one.at, 2 + #one.value)
        local node = item:add(f.digest, range)
        node:set_text(text("Digest %d: %s, %s, %s", one.index, one.algorithm, one.name or "not in the catalogue",
            one.verdicts[1]))
        generated(node:add(f.index, one.index))
        node:add(f.algorithm_id, tvb(one.at, 1))
        node:add(f.length, tvb(one.at + 1, 1))
        if #one.value > 0 then
            node:add(f.value, tvb(one.at + 2, #one.value))
        end
        generated(node:add(f.algorithm, one.algorithm))
        if one.name then
            generated(node:add(f.name, one.name))
        end
        generated(node:add(f.verdict, one.verdicts[1]))
        local all = generated(node:add(f.verdicts, table.concat(one.verdicts, ", ")))
        for _, verdict in ipairs(one.verdicts) do
            if verdict == "unknown" then
                all:add_proto_expert_info(experts.unknown_root)
            elseif verdict == "malformed" or verdict == "all-zero" or verdict == "duplicate" then
                all:add_proto_expert_info(experts.bad_digest, text("Digest %d: %s", one.index, verdict))
            end
        end
    end
end

local function add_hello(tree, tvb, found)
    local stop = math.min(found.stop, tvb:len())
    local item = tree:add(proto, tvb(0, stop), text("Intel AMT Hello, %s%s",
        found.kind == "unknown" and "unknown kind" or found.kind:upper(), found.complete and "" or ", not whole"))
    if found.flag then
        item:add_le(f.flag, tvb(0, 2))
    end
    if found.version then
        item:add_le(f.version, tvb(2, 2))
    end
    generated(item:add(f.kind, found.kind))
    if found.retry then
        item:add_le(f.retry, tvb(4, 4))
    end
    if found.uuid then
        item:add_le(f.uuid, tvb(8, 16))
        item:add(f.uuid_wire, tvb(8, 16))
    end
    if found.pid then
        item:add(f.pid, tvb(HEADER, 8), found.pid)
        generated(item:add(f.pid_ok, found.pid_ok))
    end
    if found.declared then
        item:add(f.declared, tvb(HEADER, 1))
    end
    add_digests(item, tvb, found)
    if found.trailing > 0 and found.stop < tvb:len() then
        item:add(f.padding, tvb(found.stop))
    end
    generated(item:add(f.complete, found.complete))
    generated(item:add(f.missing, found.missing))
    generated(item:add(f.trailing, found.trailing))
    for _, problem in ipairs(found.problems) do
        add_problem(item, problem)
    end
    return item
end

local function summary(found)
    local words = { "Hello " .. (found.kind == "unknown" and "of unknown kind" or found.kind:upper()) }
    if found.pid then
        words[#words + 1] = "PID " .. found.pid .. (found.pid_ok and "" or " (wrong)")
    end
    if found.declared then
        words[#words + 1] = text("%d digests", found.declared)
    end
    if found.retry then
        words[#words + 1] = text("retry %d", found.retry)
    end
    if found.uuid then
        words[#words + 1] = found.uuid
    end
    if not found.complete then
        words[#words + 1] = "not whole"
    end
    return table.concat(words, ", ")
end

-- Show the Hellos of a stream, one behind the other.
local function show(pinfo, tree, buffer, flow, found, data, gaps, used)
    local tvb = buffer
    local here = buffer:raw(0, math.min(buffer:len(), MOST_KEPT))
    if here ~= data then
        tvb = ByteArray.new(data, true):tvb("Hello, put together")
    end
    local date = date_of(used, pinfo)
    pinfo.cols.protocol = "IntelAMT"
    pinfo.cols.info = summary(found)
    for number = 1, MOST_IN_A_ROW do
        judge(found.digests, date)
        local item = add_hello(tree, tvb, found)
        if number == 1 then
            if #used > 1 then
                for _, one in ipairs(used) do
                    generated(item:add(f.segment, one.one.frame))
                end
            end
            local last = flow and flow.segments[#flow.segments]
            if last and last.frame > pinfo.number then
                generated(item:add(f.later, last.frame))
            end
        end
        -- What follows a Hello of a device is nothing, or padding; a test tool may send several.
        if not found.complete or found.trailing <= PADDING or #gaps > 0 then
            return
        end
        tvb = tvb(found.stop):tvb()
        data = data:sub(found.stop + 1)
        found = parse(data, {}, false)
        if not found or found.version == nil or found.flag > 1 or not VERSIONS[found.version] then
            return
        end
        pinfo.cols.info:append("; " .. summary(found))
    end
end

-- Bytes of this segment that were taken: all, or 0 where they are no Hello's.
local function dissect(buffer, pinfo, tree, strict)
    local flow = place(buffer, pinfo)
    local found, _, data, gaps, used
    if flow then
        found, _, data, gaps, used = read_flow(flow, pinfo.number, strict)
    else
        data, gaps, used = buffer:raw(0, math.min(buffer:len(), MOST_KEPT)), {}, {}
        found = parse(data, gaps, strict)
    end
    if not found then
        return 0
    end
    show(pinfo, tree, buffer, flow, found, data, gaps, used)
    return buffer:len()
end

local function guarded(buffer, pinfo, tree, strict)
    local fine, taken = pcall(dissect, buffer, pinfo, tree, strict)
    if fine then
        return taken
    end
    tree:add(proto, buffer(), "Intel AMT: this dissector failed, please report it"):add(f.bug, tostring(taken))
    return 0
end

local by_content = {} -- connections that are here for what they say and not for their port

local function conversation_of(pinfo)
    return last_of(tcp_stream) or -1
end

function proto.dissector(buffer, pinfo, tree)
    if buffer:len() == 0 then
        return 0
    end
    local to_us, from_us = is_ours(pinfo.dst_port), is_ours(pinfo.src_port)
    if from_us and not to_us then
        return 0 -- a server says nothing on this port
    end
    return guarded(buffer, pinfo, tree, not to_us and by_content[conversation_of(pinfo)] == true)
end

local LEAST = 4

local function looks_like_a_beginning(buffer)
    local head = buffer:raw(0, math.min(LEAST, buffer:len()))
    return head:find("^[\0\1]\0?$") or head:find("^[\0\1]\0[\2\3]\0?$")
end

proto:register_heuristic("tcp", function(buffer, pinfo, tree)
    if not proto.prefs.elsewhere or buffer:len() == 0 or is_ours(pinfo.dst_port) or is_ours(pinfo.src_port) then
        return false
    end
    local stream = conversation_of(pinfo)
    if by_content[stream] == nil and not looks_like_a_beginning(buffer) then
        return false
    end
    by_content[stream] = by_content[stream] or false -- it began like one
    if guarded(buffer, pinfo, tree, true) == 0 then
        return false
    end
    by_content[stream] = true
    pinfo.conversation = proto
    return true
end)

function proto.init()
    forget_flows()
    by_content = {}
end

local table_of_ports = DissectorTable.get("tcp.port")

function proto.prefs_changed()
    table_of_ports:remove_all(proto)
    set_ports(proto.prefs.ports)
    if #ports > 0 then
        table_of_ports:add(tostring(proto.prefs.ports), proto)
    end
end

set_ports("9971-9972")
table_of_ports:add("9971-9972", proto)
