// One device: what became of it, its timeline, what is wrong, its digests.

function deviceByName(wanted) {
  const words = wanted.toLowerCase(), d = model.devices;
  const names = device => [text(d.id, device), text(d.uuid, device), ...text(d.macs, device), ...text(d.ips, device), ...text(d.aliases, device)];
  const all = Array.from({ length: d.rows }, (_, i) => i);
  const exact = all.find(device => text(d.id, device) === `uuid:${words}` || text(d.id, device).toLowerCase() === words);
  if (exact !== undefined) return exact;
  const whole = all.filter(device => names(device).some(name => name?.toLowerCase() === words));
  return whole[0] ?? only(all.filter(device => words && names(device).some(name => name?.toLowerCase().includes(words))));
}

const only = found => found.length === 1 ? found[0] : undefined;

function deviceView(device, list) {
  const row = rowOf(device), d = model.devices;
  const section = (title, ...parts) => h("section", { "aria-label": title }, h("h2", {}, title), parts);
  const place = h("div", {});
  const around = list.found.indexOf(device);
  const neighbour = (by, words) => {
    const other = around < 0 ? undefined : list.found[around + by];
    return other === undefined ? null : h("a", { href: linkOf(rowOf(other)) }, words);
  };
  const f = row.finding;
  const lead = f ? [sign(f.severity, f.severity), h("span", {}, row.state === "stuck" ? `Stopped at ${dashed(row.stage)}: ` : "Not proven to be stuck; first to look at: ", h("b", {}, f.title))]
    : [sign(row.state === "clear" ? "passed" : "open"), h("span", {}, row.state === "clear" ? "Nothing in these captures stops this device." : "Whether anything stops this device cannot be told from these captures.")];
  const timeline = h("div", {});
  const findings = findingsOf(device), unknowns = tables.unknowns().get(device) ?? [], everybody = tables.unknowns().get(-1) ?? [];
  place.append(
    h("div", { class: "crumbs" }, h("a", { href: "#devices", id: "back" }, "← All devices"),
      h("span", { class: "buttons" }, neighbour(-1, "Previous device"), neighbour(1, "Next device"))),
    h("section", { "aria-labelledby": "device-name" },
      h("h1", { id: "device-name", tabindex: "-1" }, wire(row.uuid ?? row.name)),
      h("p", { class: "lead" }, lead), facts(row)),
    section("Timeline", timeline, eventTable(device)),
    section("Findings", findings.length ? findings.map(findingCard) : h("p", {}, "No rule has anything to say about this device.")),
    section("Stage by stage", steps(device)),
    section("Root digests in its Hello", digests(device)),
    section("What cannot be known of it", unknowns.length || everybody.length
      ? h("ul", {}, [...unknowns, ...everybody].map(unknown)) : h("p", {}, "Nothing that the rules ask for is missing.")));
  return { place, ready: () => new Timeline(timeline, device) };
}

function unknown(i) {
  const u = model.unknowns;
  return h("li", {}, h("b", {}, capital(text(u.what, i))), `: ${text(u.why, i)}. `, h("span", { class: "decide" }, `To decide: ${text(u.would_decide, i)}.`));
}

function facts(row) {
  const d = model.devices, device = row.device, mode = modesOf(device).at(-1);
  const list = words => words.length ? words.map((one, i) => [i ? ", " : "", wire(one)]) : null;
  const hellos = eventsOf(device).filter(one => one.kind === "hello");
  const gaps = hellos.slice(1).map((one, i) => duration((one.at - hellos[i].at) * model.tick));
  const some = (words, most) => words.slice(0, most).join(", ") + (words.length > most ? " ..." : "");
  const schedules = text(d.schedules, device).filter(one => one[2]).map(one => `${one[1]} (${one[0]})`);
  const told = [
    ["Addresses", list(row.ips)], ["MACs", list(row.macs)], ["Name it gives to DHCP", row.host && wire(row.host)],
    ["Domain from DHCP", text(d.suffix, device) && wire(text(d.suffix, device))], ["Server", text(d.server, device) && wire(text(d.server, device))],
    ["Hellos", row.hellos ? `${helloText(row)}, retry ${some(hellos.map(one => one.retry < 0 ? "?" : one.retry), 12)}` : "none"],
    ["Gaps between Hellos", gaps.length ? some(gaps, 8) : null], ["Like the documented schedule", schedules.length ? schedules.join("; ") : null],
    ["Mode", mode ? [`${modeName(mode.name)} (${mode.basis}: `, wire(mode.reason), ")"] : "not known"],
    ["Firmware, a hint", text(d.consistent_with, device) && wire(text(d.consistent_with, device))],
    ["Board, a hint", list(text(d.hints, device))], ["Also seen as", list(row.aliases)],
    ["First seen", moment(tables.firstSeen()[device])], ["Last seen", moment(tables.lastSeen()[device])],
  ];
  return h("dl", { class: "facts" }, told.filter(one => one[1]).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function eventTable(device) {
  const left = at(model.devices.left_out, device), all = eventsOf(device);
  const end = (address, port) => (address ?? "–") + (port ? ` port ${port}` : "");
  const table = once(() => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of events" }, h("table", {},
    h("caption", { class: "hidden" }, "Events of this device"),
    h("thead", {}, h("tr", {}, ["Time", "What", "From", "To", "Outcome", "In words", "Frames"].map(one => h("th", { scope: "col" }, one)))),
    h("tbody", {}, all.map(one => h("tr", {}, h("td", {}, moment(one.at, "ms")), h("td", {}, LANES.find(([kind]) => kind === one.kind)?.[1] ?? one.kind),
      h("td", {}, wire(end(one.src, one.sport))), h("td", {}, wire(end(one.dst, one.dport))), h("td", {}, one.outcome), h("td", {}, wire(one.detail)),
      h("td", {}, wire(framesText(one.evidence)))))))));
  const opened = event => { if (event.target.open && !event.target.querySelector("table")) event.target.append(table()); };
  return [left > 0 && h("p", { class: "note" }, `${counted(left, "event")} in the middle left out; events.csv has all.`),
    h("details", { ontoggle: opened }, h("summary", {}, `The ${counted(all.length, "event")} as a table`))];
}

function steps(device) {
  const found = stagesOf(device);
  if (!found.length) return h("p", {}, "No stage was attempted in these captures.");
  return h("ol", { class: "steps" }, found.map(one => h("li", {}, sign(one.outcome, one.outcome),
    h("b", {}, capital(dashed(one.name))), h("span", { class: "when" }, moment(one.at, "time")),
    h("span", { class: "detail" }, wire(one.detail), one.basis === "inferred" && " (inferred)", one.evidence.length > 0 && h("span", { class: "host" }, wire(framesText(one.evidence)))))));
}

function findingCard(f) {
  const tags = [f.severity, f.basis, `confidence ${f.confidence}`, f.overcome && "overcome later", f.catalogue, f.rule].filter(Boolean);
  return h("article", { class: `cause ${f.severity}` },
    h("header", {}, sign(f.severity, f.severity), h("h3", {}, f.title), f.count > 1 && h("p", { class: "who" }, `${f.count.toLocaleString("en")} times`)),
    h("p", { class: "tags" }, tags.map(one => h("span", {}, one))), h("p", {}, wire(f.summary)),
    f.candidates.length > 0 && h("div", { class: "candidates" }, h("p", {}, "Possible causes:"),
      h("ol", {}, f.candidates.map(([cause, decide]) => h("li", {}, `${capital(cause)}? `, h("span", { class: "decide" }, `To decide: ${decide}`))))),
    h("p", { class: "do" }, h("b", {}, "What to do. "), f.remedy),
    f.evidence.length > 0 && h("p", { class: "note" }, wire(capital(framesText(f.evidence)))),
    f.filter && h("div", { class: "look" }, h("code", {}, f.filter),
      h("div", { class: "buttons" }, copyButton("Copy filter", f.filter), f.evidence.length > 0 && copyButton("Copy for tshark", tshark(f.evidence, f.filter)))));
}

const DOUBTFUL = new Set(["expired", "weak", "unusable-on-me16", "duplicate"]);

function digests(device) {
  const hellos = eventsOf(device).filter(one => one.digests);
  if (!hellos.length) return h("p", {}, "No digest list of this device is in the page: it sent none, or none was read.");
  const lists = new Map();
  for (const one of hellos) lists.set(one.digests, [...(lists.get(one.digests) ?? []), one]);
  return [...lists].slice(-4).reverse().map(([place, from], i) => {
    const rows = pool[place].map(one => pool[one]);
    const table = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of digests" }, h("table", { class: "digests" },
      h("caption", {}, `${counted(rows.length, "digest")} in ${counted(from.length, "Hello")}, `, lists.size > 1 ? ["the last at ", moment(from.at(-1).at), "."] : "all alike."),
      h("thead", {}, h("tr", {}, ["#", "Root", "Verdict", "Algorithm", "Digest"].map(one => h("th", { scope: "col" }, one)))),
      h("tbody", {}, rows.map(one => h("tr", {}, h("td", {}, String(one.index + 1)), h("th", { scope: "row" }, one.name ? wire(one.name) : "no root of the catalogue"),
        h("td", {}, one.verdicts.map((verdict, n) => [n ? ", " : "", h("span", { class: `verdict-word ${verdict === "named" ? "fine" : DOUBTFUL.has(verdict) ? "doubt" : "bad"}` }, verdict)])),
        h("td", {}, one.algorithm), h("td", {}, h("code", {}, one.digest)))))));
    return i ? h("details", {}, h("summary", {}, "An earlier, different list"), table) : table;
  });
}
