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
local tcp_ack, icmp, icmpv6 = Field.new("tcp.ack"), Field.new("icmp.type"), Field.new("icmpv6.type")

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
    if relative == 0 and start == -1 then
        start = 0 -- data in a SYN, which itself takes a number
    end
    local whole = buffer:reported_len()
    if tcp_len and last_of(tcp_len) and last_of(tcp_len) ~= whole then
        -- TCP put segments together itself: they fill the first gap.
        local data, gaps = assembled(flow, pinfo.number)
        start = gaps[1] and gaps[1][1] or #data
    end
    if not pinfo.visited and not flow.foreign then
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
    if icmp() or icmpv6() then
        return 0 -- quoted by a router
    end
    local flow = place(buffer, pinfo)
    local found, _, data, gaps, used
    if flow and flow.foreign and pinfo.number > flow.foreign then
        return 0
    elseif flow then
        found, _, data, gaps, used = read_flow(flow, pinfo.number, strict)
        if not found and #gaps == 0 and #data >= FOREIGN_FROM then
            flow.foreign = flow.foreign or pinfo.number -- no need to look again
        end
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

-- True where the other side has said something before: a device speaks first.
local function is_answer()
    local relative, acknowledged = last_of(tcp_seq), last_of(tcp_ack)
    return relative == 1 and acknowledged ~= nil and acknowledged > 1 and last_of(tcp_seq_raw) ~= relative
end

local BEGINNING = "^[\0\1]\0?[\2\3]?\0?$" -- of a Hello, or of a part of its first four bytes
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

-- Called for every segment that nobody else wants: what is none is to be told at once.
proto:register_heuristic("tcp", function(buffer, pinfo, tree)
    local length = buffer:len()
    if length == 0 then
        return false
    end
    local begins = buffer(0, 1):uint() <= 1 and buffer:raw(0, math.min(4, length)):find(BEGINNING)
    if not begins and next(by_content) == nil then
        return false
    end
    local stream = conversation_of(pinfo)
    if (not begins and by_content[stream] == nil) or not proto.prefs.elsewhere
        or is_ours(pinfo.dst_port) or is_ours(pinfo.src_port)
        or (by_content[stream] == nil and is_answer()) then
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
