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
local MOST_IN_ALL = 256 * 1024 * 1024 -- bytes of all connections
local FOREIGN_FROM = 2048 -- so many bytes tell for good that a connection brings no Hello
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
