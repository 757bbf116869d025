// The matrix of devices and stages: searched, filtered, sorted, a page of it at a time.

const PAGE = 50;
const STATE_NAMES = { stuck: "Stuck", trouble: "In trouble", unclear: "Cannot be told", clear: "Nothing stops it" };
const HELLO_TYPES = { psk: "PSK", pki: "PKI", unknown: "?" };
const capital = word => word.charAt(0).toUpperCase() + word.slice(1);
const dashed = word => word === "tls" ? "TLS" : word.replaceAll("_", "-");
const modeName = name => name === "unknown" ? "not known" : capital(name);

// What can be said of a device in its row.
function rowOf(device) {
  const d = model.devices;
  const cause = at(d.cause, device), modes = modesOf(device), ips = text(d.ips, device);
  return {
    device, id: text(d.id, device), name: text(d.name, device), host: text(d.host, device), ips,
    address: ips.at(-1) ?? "", macs: text(d.macs, device), aliases: text(d.aliases, device), uuid: text(d.uuid, device),
    hellos: at(d.hellos, device), type: text(d.hello_type, device), state: text(d.state, device),
    place: at(d.place, device), stage: text(d.stage, device), mode: modes.at(-1)?.name ?? "unknown",
    finding: cause < 0 ? null : readFinding(cause), isAmt: at(d.is_amt, device) === 1,
  };
}

const linkOf = row => `#device=${encodeURIComponent(row.id.replace(/^uuid:/, ""))}`;

class DeviceList {
  constructor(place) {
    this.filters = { text: "", cause: "", stage: "", state: "" };
    this.sorting = { by: "state", falls: false };
    this.page = 0;
    this.order = once(() => this.byTrouble());
    this.haystacks = [];
    this.build(place);
    this.update();
  }

  // Stuck devices first, then those in trouble, each in the order of their appearance.
  byTrouble() {
    const d = model.devices, seen = tables.firstSeen();
    const rank = Int32Array.from({ length: d.rows }, (_, i) => model.vocabulary.states.indexOf(text(d.state, i)));
    return Array.from(rank.keys()).sort((a, b) => rank[a] - rank[b] || seen[a] - seen[b]);
  }

  build(place) {
    const option = (value, words) => h("option", { value }, words);
    const changed = () => { this.read(); this.page = 0; this.update(); };
    this.search = h("input", {
      type: "search", id: "search", placeholder: "UUID, address, MAC, name, finding", autocomplete: "off", spellcheck: "false",
      oninput: () => { clearTimeout(this.typing); this.typing = setTimeout(changed, 120); },
    });
    const select = (id, all, options) =>
      h("select", { id, onchange: changed }, option("", all), options.map(([value, words]) => option(value, words)));
    const c = model.causes;
    const causes = Array.from({ length: c.rows }, (_, i) => [String(i), text(c.title, i)]);
    this.selects = {
      state: select("state", "All", Object.entries(STATE_NAMES).concat([["operational", "Operational"]])),
      stage: select("stage", "All", model.vocabulary.stages.map((one, i) => [String(i), capital(dashed(one))])),
      cause: select("cause", "All", causes),
    };
    const labelled = (words, control, kind) => h("label", { class: kind }, words, control);
    this.table = h("table", { class: "matrix" });
    this.tally = h("p", { role: "status" });
    this.back = h("button", { type: "button", onclick: () => this.turn(-1) }, "Previous");
    this.next = h("button", { type: "button", onclick: () => this.turn(1) }, "Next");
    this.where = h("span", {});
    this.pager = h("div", { class: "pager" }, this.back, this.where, this.next);
    place.append(
      h("div", { class: "tools", role: "search", "aria-label": "Devices" },
        labelled("Search", this.search, "search"), labelled("How it fares", this.selects.state),
        labelled("Came to", this.selects.stage), labelled("Finding", this.selects.cause, "cause-filter"),
        h("button", { type: "button", id: "csv", onclick: () => this.download() }, "Download as CSV"),
        h("button", { type: "button", id: "reset", onclick: () => this.show({ text: "", cause: "", stage: "", state: "" }) }, "Show all")),
      h("div", { class: "tally" }, this.tally, this.pager),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of devices" }, this.table),
      h("p", { class: "key", "aria-hidden": "true" },
        sign("passed"), " passed  ", sign("failed"), " failed  ", sign("open"), " open  ", sign("none"), " nothing seen. Pale: inferred, not observed."));
  }

  read() {
    this.filters = { text: this.search.value, ...Object.fromEntries(Object.entries(this.selects).map(([k, v]) => [k, v.value])) };
  }

  show(filters) {
    Object.assign(this.filters, filters);
    this.search.value = this.filters.text;
    for (const [name, select] of Object.entries(this.selects)) select.value = this.filters[name];
    this.page = 0;
    this.update();
  }

  focus() {
    this.tally.tabIndex = -1;
    this.tally.focus({ preventScroll: true });
  }

  turn(by) {
    this.page += by;
    this.draw();
    byId("devices").scrollIntoView();
  }

  haystack(device) {
    return this.haystacks[device] ??= (() => {
      const row = rowOf(device), d = model.devices;
      const words = [row.id, row.name, row.host, row.uuid, text(d.server, device), text(d.suffix, device), STATE_NAMES[row.state],
        `${row.mode} mode`, ...row.ips, ...row.macs, ...row.aliases];
      for (const finding of findingsOf(device)) words.push(finding.rule, finding.title, finding.label, finding.catalogue, finding.summary);
      return words.filter(Boolean).join("\n").toLowerCase();
    })();
  }

  update() {
    const { text: typed, cause, stage, state } = this.filters, d = model.devices;
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    const having = cause === "" ? null : new Set(Array.from({ length: model.findings.rows }, (_, i) => i)
      .filter(i => at(model.findings.group, i) === Number(cause)).map(i => at(model.findings.device, i)));
    this.found = this.order().filter(device =>
      (!having || having.has(device))
      && (stage === "" || at(d.place, device) === Number(stage))
      && (state === "" || (state === "operational" ? rowOf(device).mode === state : text(d.state, device) === state))
      && words.every(word => this.haystack(device).includes(word)));
    this.sort();
    this.draw();
  }

  sort() {
    const { by, falls } = this.sorting;
    if (by === "state") { if (falls) this.found.reverse(); return; }
    const keys = new Map(this.found.map(device => [device, COLUMNS[by].key(rowOf(device))]));
    const order = (a, b) => typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
    this.found.sort((a, b) => (falls ? -1 : 1) * order(keys.get(a), keys.get(b)));
  }

  sortBy(name) {
    this.sorting = { by: name, falls: this.sorting.by === name && !this.sorting.falls };
    this.page = 0;
    this.update();
    this.table.querySelector(`[data-sort="${name}"]`).focus();
  }

  draw() {
    const pages = Math.max(1, Math.ceil(this.found.length / PAGE));
    this.page = Math.min(Math.max(this.page, 0), pages - 1);
    const shown = this.found.slice(this.page * PAGE, (this.page + 1) * PAGE).map(rowOf);
    const all = counted(model.devices.rows, "device");
    this.tally.textContent = this.found.length === model.devices.rows ? all : `${this.found.length.toLocaleString("en")} of ${all}`;
    this.where.textContent = `Page ${(this.page + 1).toLocaleString("en")} of ${pages.toLocaleString("en")}`;
    this.pager.hidden = pages === 1;
    this.back.disabled = this.page === 0;
    this.next.disabled = this.page === pages - 1;
    const body = shown.length ? shown.map(row => this.row(row))
      : h("tr", {}, h("td", { colspan: "99", class: "nothing" }, "No device fits. “Show all” takes the filters away."));
    this.table.replaceChildren(
      h("caption", { class: "hidden" }, "Devices and the stages they went through"), this.heading(), h("tbody", {}, body));
    rememberList(this);
  }

  heading() {
    const sortable = (name, kind) => {
      const own = this.sorting.by === name;
      return h("th", { scope: "col", class: kind, "aria-sort": own ? (this.sorting.falls ? "descending" : "ascending") : null },
        h("button", { type: "button", "data-sort": name, onclick: () => this.sortBy(name) }, COLUMNS[name].title));
    };
    return h("thead", {}, h("tr", {}, sortable("name"), sortable("address", "less"), sortable("hellos", "less"), sortable("mode", "less"),
      model.vocabulary.stages.map(one => h("th", { scope: "col", class: "step" }, h("span", {}, capital(dashed(one))))),
      sortable("state", "before")));
  }

  row(row) {
    const stages = new Map(stagesOf(row.device).map(one => [one.name, one]));
    const cells = model.vocabulary.stages.map(name => {
      const one = stages.get(name);
      if (name === "operational" && row.mode === name && !one) return h("td", { class: "step" }, sign("passed", "operational"));
      const inferred = one?.basis === "inferred" ? ", inferred" : "";
      return h("td", { class: `step ${one?.outcome ?? ""} ${inferred && "inferred"}`, title: one ? `${capital(dashed(name))}: ${one.outcome}${inferred}. ${one.detail}` : null },
        sign(one?.outcome ?? "none", one ? one.outcome + inferred : "nothing seen"));
    });
    const f = row.finding;
    return h("tr", {},
      h("th", { scope: "row" }, h("a", { href: linkOf(row) }, wire(row.name)), row.host && h("span", { class: "host" }, wire(row.host)),
        !row.isAmt && h("span", { class: "host" }, "not shown to have AMT")),
      h("td", { class: "less" }, wire(row.address || "–")),
      h("td", { class: "less" }, helloText(row)), h("td", { class: "less" }, modeName(row.mode)), cells,
      h("td", { class: "before" }, f ? [sign(f.severity, f.severity), " ", h("b", {}, dashed(row.stage)), ": ", f.label]
        : h("span", { class: "note" }, STATE_NAMES[row.state])));
  }

  download() {
    const heads = ["device", "host", "addresses", "macs", "hellos", "hello_type", "mode", "state", "stage", "rule", "cause", "summary", "first_seen", "last_seen"];
    const lines = this.found.map(device => {
      const row = rowOf(device), f = row.finding;
      const time = ticks => Number.isNaN(ticks) ? "" : dateOf(ticks).toISOString();
      return [row.id, row.host, row.ips.join(" "), row.macs.join(" "), row.hellos, row.type, row.mode, row.state, row.stage, f?.rule, f?.title, f?.summary,
        time(tables.firstSeen()[device]), time(tables.lastSeen()[device])];
    });
    const csv = [heads, ...lines].map(line => line.map(cell).join(",")).join("\r\n") + "\r\n";
    const link = h("a", { href: URL.createObjectURL(new Blob([csv], { type: "text/csv" })), download: "amtdiag-devices.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    say(`${counted(lines.length, "row")} written`);
  }
}

const helloText = row => row.hellos ? `${HELLO_TYPES[row.type] ?? "?"} ×${row.hellos.toLocaleString("en")}` : "none";

const COLUMNS = {
  name: { title: "Device", key: row => row.name },
  address: { title: "Address", key: row => row.address },
  hellos: { title: "Hellos", key: row => row.hellos },
  mode: { title: "Mode", key: row => row.mode },
  state: { title: "Stopped at, because", key: row => row.state },
};

// A cell that no spreadsheet takes for a formula.
function cell(value) {
  const words = String(value ?? "");
  const harmless = typeof value === "string" && /^[=+\-@\t\r\n＝＋－＠]/.test(words) ? `'${words}` : words;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
