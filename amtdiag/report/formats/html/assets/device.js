// One device: what became of it, its timeline, what is wrong, its digests.

// The row of the device that an id, UUID, MAC or address means, or a part of one.
function rowOfDevice(wanted) {
  const words = wanted.toLowerCase(), devices = model.devices;
  const id = row => cell(devices, "id", row);
  const names = row => [id(row), cell(devices, "uuid", row), ...["macs", "ips", "aliases"].flatMap(name => cell(devices, name, row))];
  const rows = rowNumbers(devices);
  const exact = rows.find(row => id(row) === `uuid:${words}` || id(row).toLowerCase() === words);
  if (exact !== undefined) return exact;
  const whole = rows.filter(row => names(row).some(name => name?.toLowerCase() === words));
  return whole[0] ?? only(rows.filter(row => words && names(row).some(name => name?.toLowerCase().includes(words))));
}

const only = found => found.length === 1 ? found[0] : undefined;

function deviceView(row, list) {
  const device = readDevice(row), { finding } = device;
  const section = (title, ...parts) => h("section", { "aria-label": title }, h("h2", {}, title), parts);
  const place = h("div", {});
  const around = list.found.indexOf(row);
  const neighbour = (by, words) => {
    const other = around < 0 ? undefined : list.found[around + by];
    return other === undefined ? null : h("a", { href: linkOf(cell(model.devices, "id", other)) }, words);
  };
  const isClear = device.state === "clear";
  const lead = finding
    ? [sign(finding.severity, finding.severity), h("span", {}, device.state === "stuck" ? `Stopped at ${dashed(device.stage)}: ` : "Not proven to be stuck; first to look at: ", h("b", {}, finding.title))]
    : [sign(isClear ? "passed" : "open"), h("span", {}, isClear ? "Nothing in these captures stops this device." : "Whether anything stops this device cannot be told from these captures.")];
  const timeline = h("div", {});
  const findings = findingsOf(row), unknowns = [...unknownsOf(row), ...unknownsOf(null)];
  place.append(
    h("div", { class: "crumbs" }, h("a", { href: "#devices", id: "back" }, "← All devices"),
      h("span", { class: "buttons" }, neighbour(-1, "Previous device"), neighbour(1, "Next device"))),
    h("section", { "aria-labelledby": "device-name" },
      h("h1", { id: "device-name", tabindex: "-1" }, wire(device.uuid ?? device.name)),
      h("p", { class: "lead" }, lead), facts(device)),
    section("Timeline", timeline, eventTable(device)),
    section("Findings", findings.length ? findings.map(findingCard) : h("p", {}, "No rule has anything to say about this device.")),
    section("Stage by stage", steps(row)),
    section("Root digests in its Hello", digests(row)),
    section("What cannot be known of it", unknowns.length
      ? h("ul", {}, unknowns.map(unknownItem)) : h("p", {}, "Nothing that the rules ask for is missing.")));
  return { place, ready: () => new Timeline(timeline, device) };
}

const unknownItem = ({ what, why, would_decide: decides }) =>
  h("li", {}, h("b", {}, capital(what)), `: ${why}. `, h("span", { class: "decide" }, `To decide: ${decides}.`));

function facts(device) {
  const mode = modesOf(device.row).at(-1), { host, suffix, server, consistent_with: firmware } = device;
  const list = words => words.length ? words.map((word, i) => [i ? ", " : "", wire(word)]) : null;
  const hellos = eventsOf(device.row).filter(event => event.kind === "hello");
  const gaps = hellos.slice(1).map((hello, i) => duration(hello.at - hellos[i].at));
  const some = (words, most) => words.slice(0, most).join(", ") + (words.length > most ? " ..." : "");
  const schedules = device.schedules.filter(([, , fits]) => fits).map(([documentedBy, words]) => `${words} (${documentedBy})`);
  const known = [
    ["Addresses", list(device.ips)], ["MACs", list(device.macs)], ["Name it gives to DHCP", host && wire(host)],
    ["Domain from DHCP", suffix && wire(suffix)], ["Server", server && wire(server)],
    ["Hellos", device.hellos ? `${helloText(device)}, retry ${some(hellos.map(hello => hello.retry ?? "?"), 12)}` : "none"],
    ["Gaps between Hellos", gaps.length ? some(gaps, 8) : null], ["Like the documented schedule", schedules.length ? schedules.join("; ") : null],
    ["Mode", mode ? [`${modeName(mode.name)} (${mode.basis}: `, wire(mode.reason), ")"] : "not known"],
    ["Firmware, a hint", firmware && wire(firmware)],
    ["Board, a hint", list(device.hints)], ["Also seen as", list(device.aliases)],
    ["First seen", moment(device.first_seen)], ["Last seen", moment(device.last_seen)],
  ];
  return h("dl", { class: "facts" }, known.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function eventTable(device) {
  const events = eventsOf(device.row);
  const end = (address, port) => (address ?? "–") + (port ? ` port ${port}` : "");
  const table = once(() => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of events" }, h("table", {},
    h("caption", { class: "hidden" }, "Events of this device"),
    h("thead", {}, h("tr", {}, ["Time", "What", "From", "To", "Outcome", "In words", "Frames"].map(title => h("th", { scope: "col" }, title)))),
    h("tbody", {}, events.map(event => h("tr", {}, h("td", {}, moment(event.at, "ms")), h("td", {}, laneName(event)),
      h("td", {}, wire(end(event.src, event.sport))), h("td", {}, wire(end(event.dst, event.dport))), h("td", {}, event.outcome), h("td", {}, wire(event.detail)),
      h("td", {}, wire(framesText(event.evidence)))))))));
  const opened = ({ target }) => { if (target.open && !target.querySelector("table")) target.append(table()); };
  return [device.left_out > 0 && h("p", { class: "note" }, `${counted(device.left_out, "event")} in the middle left out; events.csv has all.`),
    h("details", { ontoggle: opened }, h("summary", {}, `The ${counted(events.length, "event")} as a table`))];
}

function steps(row) {
  const stages = stagesOf(row);
  if (!stages.length) return h("p", {}, "No stage was attempted in these captures.");
  return h("ol", { class: "steps" }, stages.map(stage => h("li", {}, sign(stage.outcome, stage.outcome),
    h("b", {}, capital(dashed(stage.name))), h("span", { class: "when" }, moment(stage.at, "time")),
    h("span", { class: "detail" }, wire(stage.detail), stage.basis === "inferred" && " (inferred)", stage.evidence.length > 0 && h("span", { class: "host" }, wire(framesText(stage.evidence)))))));
}

function findingCard(finding) {
  const tags = [finding.severity, finding.basis, `confidence ${finding.confidence}`, finding.overcome && "overcome later", finding.catalogue, finding.rule].filter(Boolean);
  return h("article", { class: `cause ${finding.severity}` },
    h("header", {}, sign(finding.severity, finding.severity), h("h3", {}, finding.title), finding.count > 1 && h("p", { class: "who" }, `${finding.count.toLocaleString("en")} times`)),
    h("p", { class: "tags" }, tags.map(tag => h("span", {}, tag))), h("p", {}, wire(finding.summary)),
    finding.candidates.length > 0 && h("div", { class: "candidates" }, h("p", {}, "Possible causes:"),
      h("ol", {}, finding.candidates.map(([cause, decide]) => h("li", {}, `${capital(cause)}? `, h("span", { class: "decide" }, `To decide: ${decide}`))))),
    h("p", { class: "do" }, h("b", {}, "What to do. "), finding.remedy),
    finding.evidence.length > 0 && h("p", { class: "note" }, wire(capital(framesText(finding.evidence)))),
    finding.filter && h("div", { class: "look" }, h("code", {}, finding.filter),
      h("div", { class: "buttons" }, copyButton("Copy filter", finding.filter), finding.evidence.length > 0 && copyButton("Copy for tshark", tshark(finding.evidence, finding.filter)))));
}

const DOUBTFUL = new Set(["expired", "weak", "unusable-on-me16", "duplicate"]);

function digests(row) {
  const hellos = eventsOf(row).filter(event => event.digests !== null);
  if (!hellos.length) return h("p", {}, "No digest list of this device is in the page: it sent none, or none was read.");
  const lists = new Map();
  for (const hello of hellos) lists.set(hello.digests, [...(lists.get(hello.digests) ?? []), hello]);
  return [...lists].slice(-4).reverse().map(([place, from], i) => {
    const rows = model.digest_lists[place];
    const table = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of digests" }, h("table", { class: "digests" },
      h("caption", {}, `${counted(rows.length, "digest")} in ${counted(from.length, "Hello")}, `, lists.size > 1 ? ["the last at ", moment(from.at(-1).at), "."] : "all alike."),
      h("thead", {}, h("tr", {}, ["#", "Root", "Verdict", "Algorithm", "Digest"].map(title => h("th", { scope: "col" }, title)))),
      h("tbody", {}, rows.map(digest => h("tr", {}, h("td", {}, String(digest.index + 1)), h("th", { scope: "row" }, digest.name ? wire(digest.name) : "no root of the catalogue"),
        h("td", {}, digest.verdicts.map((verdict, n) => [n ? ", " : "", h("span", { class: `verdict-word ${verdict === "named" ? "fine" : DOUBTFUL.has(verdict) ? "doubt" : "bad"}` }, verdict)])),
        h("td", {}, digest.algorithm), h("td", {}, h("code", {}, digest.digest)))))));
    return i ? h("details", {}, h("summary", {}, "An earlier, different list"), table) : table;
  });
}
