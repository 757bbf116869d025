// The matrix of devices and stages: searched, filtered, sorted, a page of it at a time.

const PAGE = 50;
const STATE_NAMES = { stuck: "Stuck", trouble: "In trouble", unclear: "Cannot be told", clear: "Nothing stops it" };
const capital = word => word.charAt(0).toUpperCase() + word.slice(1);
const dashed = word => word === "tls" ? "TLS" : word.replaceAll("_", "-");
const modeName = name => name === "unknown" ? "not known" : capital(name);

// All that the page knows of a device, with what its row says.
function readDevice(row) {
  const device = readRow(model.devices, row);
  return {
    ...device, address: device.ips.at(-1) ?? "", mode: modesOf(row).at(-1)?.name ?? "unknown",
    finding: device.cause === null ? null : readFinding(device.cause),
  };
}

const linkOf = id => `#device=${encodeURIComponent(id.replace(/^uuid:/, ""))}`;

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
    const rows = rowNumbers(model.devices);
    const rank = rows.map(row => model.vocabulary.states.indexOf(cell(model.devices, "state", row)));
    const seen = rows.map(row => cell(model.devices, "first_seen", row));
    return rows.sort((a, b) => rank[a] - rank[b] || seen[a] - seen[b]);
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
    const causes = rowNumbers(model.causes).map(row => [String(row), cell(model.causes, "title", row)]);
    this.selects = {
      state: select("state", "All", Object.entries(STATE_NAMES).concat([["operational", "Operational"]])),
      stage: select("stage", "All", model.vocabulary.stages.map((stage, i) => [String(i), capital(dashed(stage))])),
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
    this.filters = { text: this.search.value, ...Object.fromEntries(Object.entries(this.selects).map(([name, select]) => [name, select.value])) };
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

  haystack(row) {
    return this.haystacks[row] ??= (() => {
      const device = readDevice(row);
      const words = [device.id, device.name, device.host, device.uuid, device.server, device.suffix, STATE_NAMES[device.state],
        `${device.mode} mode`, ...device.ips, ...device.macs, ...device.aliases];
      for (const finding of findingsOf(row)) words.push(finding.rule, finding.title, finding.label, finding.catalogue, finding.summary);
      return words.filter(Boolean).join("\n").toLowerCase();
    })();
  }

  update() {
    const { text, cause, stage, state } = this.filters;
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const having = cause === "" ? null : new Set(rowNumbers(model.findings)
      .filter(row => cell(model.findings, "group", row) === Number(cause)).map(row => cell(model.findings, "device", row)));
    this.found = this.order().filter(row =>
      (!having || having.has(row))
      && (stage === "" || cell(model.devices, "place", row) === Number(stage))
      && (state === "" || (state === "operational" ? readDevice(row).mode : cell(model.devices, "state", row)) === state)
      && words.every(word => this.haystack(row).includes(word)));
    this.sort();
    this.draw();
  }

  sort() {
    const { by, falls } = this.sorting;
    if (by === "state") { if (falls) this.found.reverse(); return; }
    const keys = new Map(this.found.map(row => [row, COLUMNS[by].key(readDevice(row))]));
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
    const shown = this.found.slice(this.page * PAGE, (this.page + 1) * PAGE).map(readDevice);
    const all = counted(model.devices.rows, "device");
    this.tally.textContent = this.found.length === model.devices.rows ? all : `${this.found.length.toLocaleString("en")} of ${all}`;
    this.where.textContent = `Page ${(this.page + 1).toLocaleString("en")} of ${pages.toLocaleString("en")}`;
    this.pager.hidden = pages === 1;
    this.back.disabled = this.page === 0;
    this.next.disabled = this.page === pages - 1;
    const body = shown.length ? shown.map(device => this.row(device))
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
      model.vocabulary.stages.map(stage => h("th", { scope: "col", class: "step" }, h("span", {}, capital(dashed(stage))))),
      sortable("state", "before")));
  }

  row(device) {
    const stages = new Map(stagesOf(device.row).map(stage => [stage.name, stage]));
    const cells = model.vocabulary.stages.map(name => {
      const stage = stages.get(name);
      if (name === "operational" && device.mode === name && !stage) return h("td", { class: "step" }, sign("passed", "operational"));
      const inferred = stage?.basis === "inferred" ? ", inferred" : "";
      return h("td", { class: `step ${stage?.outcome ?? ""} ${inferred && "inferred"}`, title: stage ? `${capital(dashed(name))}: ${stage.outcome}${inferred}. ${stage.detail}` : null },
        sign(stage?.outcome ?? "none", stage ? stage.outcome + inferred : "nothing seen"));
    });
    const { finding } = device;
    return h("tr", {},
      h("th", { scope: "row" }, h("a", { href: linkOf(device.id) }, wire(device.name)), device.host && h("span", { class: "host" }, wire(device.host)),
        !device.is_amt && h("span", { class: "host" }, "not shown to have AMT")),
      h("td", { class: "less" }, wire(device.address || "–")),
      h("td", { class: "less" }, helloText(device)), h("td", { class: "less" }, modeName(device.mode)), cells,
      h("td", { class: "before" }, finding ? [sign(finding.severity, finding.severity), " ", h("b", {}, dashed(device.stage)), ": ", finding.label]
        : h("span", { class: "note" }, STATE_NAMES[device.state])));
  }

  download() {
    const heads = ["device", "host", "addresses", "macs", "hellos", "hello_type", "mode", "state", "stage", "rule", "cause", "summary", "first_seen", "last_seen"];
    const lines = this.found.map(readDevice).map(device => [
      device.id, device.host, device.ips.join(" "), device.macs.join(" "), device.hellos, device.hello_type, device.mode, device.state, device.stage,
      device.finding?.rule, device.finding?.title, device.finding?.summary,
      dateOf(device.first_seen).toISOString(), dateOf(device.last_seen).toISOString(),
    ]);
    const csv = [heads, ...lines].map(line => line.map(csvCell).join(",")).join("\r\n") + "\r\n";
    const link = h("a", { href: URL.createObjectURL(new Blob([csv], { type: "text/csv" })), download: "amtdiag-devices.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    say(`${counted(lines.length, "row")} written`);
  }
}

const helloText = device => device.hellos ? `${model.vocabulary.hello_types[device.hello_type] ?? "?"} ×${device.hellos.toLocaleString("en")}` : "none";

const COLUMNS = {
  name: { title: "Device", key: device => device.name },
  address: { title: "Address", key: device => device.address },
  hellos: { title: "Hellos", key: device => device.hellos },
  mode: { title: "Mode", key: device => device.mode },
  state: { title: "Stopped at, because", key: device => device.state },
};

// A cell that no spreadsheet takes for a formula.
function csvCell(value) {
  const words = String(value ?? "");
  const harmless = typeof value === "string" && /^[=+\-@\t\r\n＝＋－＠]/.test(words) ? `'${words}` : words;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
