"use strict";
// The coded model, decoded when somebody asks: see amtdiag/report/formats/html/model.py for its shape.

let model, pool;

async function readModel() {
  const carried = JSON.parse(document.getElementById("model").textContent);
  model = "deflate" in carried ? await unpacked(carried.deflate) : carried;
  pool = model.pool;
}

async function unpacked(base64) {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack the data of the page");
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

const at = (column, row) => typeof column === "number" ? column : column[row];
const text = (column, row) => pool[at(column, row)];

// Ticks since the start of the model; NaN where there is no time.
function moments(column) {
  const found = new Float64Array(column.length);
  let now = 0;
  for (let i = 0; i < column.length; i++) found[i] = column[i] === null ? NaN : (now += column[i]);
  return found;
}

// Where the rows of each owner begin; one entry more than there are owners.
function beginnings(n, owners) {
  const found = new Int32Array(owners + 1);
  for (let i = 0; i < owners; i++) found[i + 1] = found[i] + at(n, i);
  return found;
}

class Evidence {
  constructor(columns, rows) {
    this.columns = columns;
    this.begins = beginnings(columns.n, rows);
    this.frames = moments(columns.frame);
  }

  of(row) {
    const found = [];
    for (let i = this.begins[row]; i < this.begins[row + 1]; i++) {
      found.push({ file: text(this.columns.file, i), frame: this.frames[i] });
    }
    return found;
  }
}

// A table whose rows belong to devices: decoded at the first question.
class Nested {
  constructor(columns, time) {
    this.columns = columns;
    this.begins = beginnings(columns.n, model.devices.rows);
    this.times = moments(columns[time]);
    this.evidence = new Evidence(columns.evidence, this.times.length);
  }

  of(device, read) {
    const found = [];
    for (let i = this.begins[device]; i < this.begins[device + 1]; i++) {
      found.push({ ...read(this.columns, i), at: this.times[i], evidence: this.evidence.of(i) });
    }
    return found;
  }
}

const once = make => { let made; return () => made ??= make(); };

const tables = {
  modes: once(() => new Nested(model.devices.modes, "since")),
  stages: once(() => new Nested(model.devices.stages, "at")),
  events: once(() => new Nested(model.devices.events, "at")),
  firstSeen: once(() => moments(model.devices.first_seen)),
  lastSeen: once(() => moments(model.devices.last_seen)),
  findingEvidence: once(() => new Evidence(model.findings.evidence, model.findings.rows)),
  // Rows of findings and unknowns, by device.
  findings: once(() => byDevice(model.findings)),
  unknowns: once(() => byDevice(model.unknowns)),
  captureSpans: once(() => {
    const first = moments(model.captures.first_ts), last = moments(model.captures.last_ts);
    return Array.from(first, (one, i) => [one, last[i]]).filter(span => !span.some(Number.isNaN));
  }),
};

function byDevice(table) {
  const found = new Map();
  for (let i = 0; i < table.rows; i++) {
    const device = at(table.device, i);
    if (!found.has(device)) found.set(device, []);
    found.get(device).push(i);
  }
  return found;
}

const modesOf = device => tables.modes().of(device, (c, i) => ({
  name: text(c.name, i), basis: text(c.basis, i), reason: text(c.reason, i),
}));
const stagesOf = device => tables.stages().of(device, (c, i) => ({
  name: text(c.name, i), basis: text(c.basis, i), outcome: text(c.outcome, i), detail: text(c.detail, i),
}));
const eventsOf = device => tables.events().of(device, (c, i) => ({
  kind: text(c.kind, i), outcome: text(c.outcome, i), lasts: at(c.lasts, i), detail: text(c.detail, i),
  src: text(c.src, i), sport: at(c.sport, i), dst: text(c.dst, i), dport: at(c.dport, i),
  retry: at(c.retry, i), digests: at(c.digests, i),
}));
const findingsOf = device => (tables.findings().get(device) ?? []).map(readFinding);

function readFinding(row) {
  const c = model.findings;
  return {
    row, group: at(c.group, row), rule: text(c.rule, row), catalogue: text(c.catalogue, row),
    severity: text(c.severity, row), basis: text(c.basis, row), confidence: text(c.confidence, row),
    count: at(c.count, row), summary: text(c.summary, row), remedy: text(c.remedy, row),
    candidates: text(c.candidates, row), filter: text(c.filter, row), overcome: at(c.overcome, row) === 1,
    evidence: tables.findingEvidence().of(row),
    title: text(model.causes.title, at(c.group, row)), label: text(model.causes.label, at(c.group, row)),
  };
}

// ------------------------------------------------------------------------------------------------------ times

let localZone = false;

function dateOf(ticks) {
  const start = BigInt(model.start);
  const ms = Number(start / 1000000n) + (Number(start % 1000000n) + ticks * model.tick) / 1e6;
  return new Date(Math.min(Math.max(Math.floor(ms), -2208988800000), 253402300799999)); // 1900 to 9999
}

const two = number => String(number).padStart(2, "0");

function clock(date, parts = "day time") {
  const ask = what => localZone ? date[`get${what}`]() : date[`getUTC${what}`]();
  const day = `${String(ask("FullYear")).padStart(4, "0")}-${two(ask("Month") + 1)}-${two(ask("Date"))}`;
  const time = `${two(ask("Hours"))}:${two(ask("Minutes"))}:${two(ask("Seconds"))}`;
  if (parts === "time") return time;
  if (parts === "ms") return `${time}.${String(ask("Milliseconds")).padStart(3, "0")}`;
  return `${day} ${time}`;
}

const zoneName = () => localZone ? Intl.DateTimeFormat().resolvedOptions().timeZone || "local time" : "UTC";

// A duration in at most two units, as the charts write it.
function duration(ns) {
  const s = ns / 1e9;
  if (ns === 0) return "0";
  if (s < 0.999) return `${Number((ns / 1e6).toPrecision(3))} ms`;
  if (s < 59.95) return `${Number(s.toPrecision(3))} s`;
  const units = [[86400, "d", 3600, "h", 30], [3600, "h", 60, "min", 0.5], [60, "min", 1, "s", 0.05]];
  for (const [big, many, small, few, slack] of units) {
    if (s < big - slack) continue;
    const whole = Math.round(s / small), ratio = big / small;
    const count = Math.floor(whole / ratio), rest = whole % ratio;
    return rest && count < 100 ? `${count} ${many} ${rest} ${few}` : `${count.toLocaleString("en")} ${many}`;
  }
  return "";
}
