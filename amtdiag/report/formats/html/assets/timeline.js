// What a device did, in lanes over time; the mode it was in lies behind them.

const LANES = [
  ["dhcp", "DHCP", "dhcp"], ["dns", "DNS", "dns"], ["connection", "To the server", "device_to_server"], ["hello", "Hello", "device_to_server"],
  ["connect_back", "Connect-back", "server_to_device"], ["tls", "TLS", "server_to_device"], ["http", "HTTP", "server_to_device"],
  ["console", "Console", null], ["scanner", "Scanner", null], ["presence", "Presence server", null], ["rmcp", "RMCP pong", null],
];
const ALWAYS = 7; // lanes that are drawn also where they are empty: that they are says something
const LOOKS = {
  whole: ["Hello", "circle", "blue"], cut: ["Hello, cut or malformed", "circle", "blue", true],
  established: ["established", "up", "green"], reset: ["reset", "diamond", "pink"], partial: ["beginning or part not captured", "square", "grey"],
  refused: ["refused", "cross", "red"], rejected: ["rejected by ICMP", "cross", "orange"], unanswered: ["unanswered", "down", "orange", true],
  asked: ["asked", "circle", "grey", true], answered: ["answered", "plus", "green"], failed: ["failed", "cross", "pink"],
};
const SHAPES = {
  circle: "M0-6A6 6 0 1 1 0 6 6 6 0 1 1 0-6z", up: "M0-7L7 5.5H-7z", down: "M0 7L7-5.5H-7z", diamond: "M0-7.5L7.5 0 0 7.5-7.5 0z", square: "M-5.5-5.5h11v11h-11z",
  cross: "M-6.5-3.5l3-3L0-3l3.5-3.5 3 3L3 0l3.5 3.5-3 3L0 3l-3.5 3.5-3-3L-3 0z", plus: "M-2.2-7h4.4v4.8H7v4.4H2.2V7h-4.4V2.2H-7v-4.4h4.8z",
};
const LANE_HEIGHT = 46;
const laneName = event => LANES.find(([kind]) => kind === event.kind)?.[1] ?? event.kind;

const shape = (outcome, attributes) => {
  const [, form, tone, hollow] = LOOKS[outcome] ?? LOOKS.partial;
  return s("path", { class: `mark tone-${tone}${hollow ? " hollow" : ""}`, d: SHAPES[form], ...attributes });
};

class Timeline {
  constructor(place, device) {
    this.events = eventsOf(device.row);
    this.visibility = device.visibility;
    this.seen = [device.first_seen, device.last_seen];
    this.modes = modesOf(device.row);
    const kinds = new Set(this.events.map(event => event.kind));
    this.lanes = LANES.filter(([kind], i) => i < ALWAYS || kinds.has(kind));
    this.focused = 0;
    this.place = h("div", { class: "timeline" });
    this.tip = h("div", { class: "tip", role: "tooltip", id: "tip", hidden: true });
    this.chosen = h("div", { class: "chosen", role: "status", hidden: true });
    place.append(this.place, this.legend(), this.chosen);
    this.watcher = new ResizeObserver(() => { if (this.place.clientWidth !== this.width) this.draw(); });
    this.watcher.observe(this.place);
    this.draw();
  }

  draw() {
    const width = this.width = Math.max(this.place.clientWidth || 1000, 280);
    const narrow = width < 640, left = narrow ? 10 : 128, right = 14, top = 34;
    const laneHeight = narrow ? 54 : LANE_HEIGHT;
    const foot = top + this.lanes.length * laneHeight;
    const end = this.captureEnd();
    const times = [...this.seen, ...this.events.flatMap(event => [event.at, event.at + event.lasts]), ...this.modes.map(mode => mode.since), end];
    const scale = new TimeScale(times.filter(time => time !== null));
    const x = time => left + 8 + scale.place(time) * (width - left - right - 16);
    const y = kind => top + (this.lanes.findIndex(lane => lane[0] === kind) + (narrow ? 0.62 : 0.5)) * laneHeight;
    const parts = [this.bands(scale, x, left, width - right, foot)];
    for (const [i, [kind, name, lane]] of this.lanes.entries()) {
      const line = top + i * laneHeight;
      parts.push(s("line", { class: "rule", x1: 0, x2: width, y1: line, y2: line }));
      parts.push(s("text", { class: "lane-name", x: narrow ? 4 : 0, y: narrow ? line + 15 : line + laneHeight / 2 + 4 }, name));
      if (!this.events.some(event => event.kind === kind)) {
        const unseen = lane && this.visibility[lane] === false;
        parts.push(s("text", { class: "dim", x: (left + width) / 2, y: y(kind) + 4, "text-anchor": "middle" },
          unseen ? "this capture does not show this direction" : kind === "http" ? "none that can be read" : "none in this capture"));
      }
    }
    parts.push(s("line", { class: "rule", x1: 0, x2: width, y1: foot, y2: foot }), this.axis(scale, x, foot, width, left));
    if (end !== null) {
      parts.push(s("line", { class: "end", x1: x(end), x2: x(end), y1: top, y2: foot }),
        s("text", { class: "dim", x: x(end) - 4, y: foot - 5, "text-anchor": "end" }, "capture ends"));
    }
    parts.push(this.retries(x, () => y("hello") + (narrow ? 20 : -10)));
    for (const { kind, outcome, at, lasts } of this.events) {
      if (lasts && x(at + lasts) - x(at) > 8) {
        parts.push(s("line", { class: `lasts tone-${LOOKS[outcome][2]}`, x1: x(at), x2: x(at + lasts), y1: y(kind), y2: y(kind) }));
      }
    }
    this.points = this.events.map(event => [x(event.at), y(event.kind)]);
    this.marks = this.events.map((event, i) => shape(event.outcome, {
      transform: `translate(${this.points[i].map(Math.round).join(" ")})`, role: "button", tabindex: i === this.focused ? "0" : "-1",
      "aria-label": this.words(event).join(". "), onfocus: () => this.hover(i), onblur: () => this.leave(),
    }));
    this.halo = s("circle", { class: "halo", r: 11, visibility: "hidden" });
    const svg = s("svg", {
      viewBox: `0 0 ${width} ${foot + 52}`, role: "group", "aria-label": `Timeline, ${counted(this.events.length, "event")}. Arrow keys go from one to the next.`,
      onpointermove: event => this.near(event), onpointerleave: () => this.leave(), onclick: event => { this.near(event); this.choose(); },
      onkeydown: event => this.key(event),
    }, parts, this.marks, this.halo);
    this.place.replaceChildren(svg, this.tip);
    this.svg = svg;
  }

  // When the capture that shows the last event stops, if that is later.
  captureEnd() {
    const seen = this.seen[1];
    const captures = rowNumbers(model.captures).map(row => readRow(model.captures, row));
    const ends = captures.filter(({ first_ts: first, last_ts: last }) => first !== null && last !== null && first <= seen && seen < last)
      .map(capture => capture.last_ts);
    return ends.length ? Math.max(...ends) : null;
  }

  bands(scale, x, left, right, foot) {
    const known = this.modes.map(mode => ({ ...mode, since: mode.since ?? this.seen[0] }));
    // The Hello proves the mode; the connection that brings it begins milliseconds before.
    const begun = known.length && known[0].since - scale.start < SECOND;
    const spans = begun ? known : [{ name: "unknown", basis: "none", since: null }, ...known];
    return spans.map((mode, i) => {
      const from = i === 0 ? left : x(mode.since), to = i + 1 < spans.length ? x(spans[i + 1].since) : right;
      const words = `${mode.name === "unknown" ? "Mode not known" : `${capital(mode.name)} Mode`}${mode.basis === "none" ? "" : `, ${mode.basis}`}`;
      return s("g", {}, s("rect", { class: `band ${mode.name}`, x: from, y: 4, width: Math.max(to - from, 0), height: 22, rx: 3 }, s("title", {}, words)),
        s("rect", { class: `band wash ${mode.name}`, x: from, y: 30, width: Math.max(to - from, 0), height: foot - 30 }),
        to - from > words.length * 6.4 && s("text", { x: (from + to) / 2, y: 19, "text-anchor": "middle" }, words));
    }).concat(left > 50 ? s("text", { class: "lane-name", x: 0, y: 19 }, "Mode") : []);
  }

  axis(scale, x, foot, width, left) {
    const total = scale.end - scale.start;
    const ticks = scale.ticks(96 / (width - left), this.events.filter(event => event.kind === "hello").map(hello => hello.at));
    const labels = ticks.map(time => {
      const at = x(time), date = dateOf(time);
      const anchor = at > width - 50 ? "end" : at < left + 40 && left < 50 ? "start" : "middle";
      const day = clock(date).slice(5, 16);
      const shift = anchor === "end" ? 8 : anchor === "start" ? -8 : 0;
      return [s("line", { class: "grid", x1: at, x2: at, y1: 34, y2: foot + 5 }),
        s("text", { x: at + shift, y: foot + 19, "text-anchor": anchor }, duration(Math.round(time - scale.start))),
        s("text", { class: "dim", x: at + shift, y: foot + 34, "text-anchor": anchor }, total >= 2 * DAY ? day : clock(date, total < MINUTE ? "ms" : "time"))];
    });
    return [labels, s("text", { class: "dim", x: width, y: foot + 50, "text-anchor": "end" },
      `${zoneName()}${left > 50 ? "; above it the time since the first event" : ""}${scale.shortened ? "; long gaps shortened" : ""}`)];
  }

  // The retry counts over the Hellos, where there is room.
  retries(x, height) {
    let last = -100;
    return this.events.filter(event => event.kind === "hello" && event.retry !== null).map(hello => {
      const at = x(hello.at);
      if (at - last < 20) return null;
      last = at;
      return s("text", { class: "dim", x: at, y: height(), "text-anchor": "middle" }, String(hello.retry));
    });
  }

  legend() {
    const used = new Set(this.events.map(event => event.outcome));
    return h("ul", { class: "legend", "aria-label": "Shapes" }, Object.entries(LOOKS).filter(([outcome]) => used.has(outcome)).map(([outcome, [words]]) =>
      h("li", {}, s("svg", { viewBox: "-9 -9 18 18", "aria-hidden": "true" }, shape(outcome)), words)),
      this.events.some(event => event.kind === "hello") && h("li", {}, "Numbers over Hellos: retry count"));
  }

  words(event) {
    const end = (address, port) => (address ?? "") + (port ? ` port ${port}` : "");
    const way = [end(event.src, event.sport), end(event.dst, event.dport)].filter(Boolean).join(" to ");
    const lasted = event.lasts ? `, lasts ${duration(event.lasts)}` : "";
    return [`${laneName(event)}: ${LOOKS[event.outcome]?.[0] ?? event.outcome}`, `${clock(dateOf(event.at), "ms")} ${zoneName()}${lasted}`, way, event.detail, capital(framesText(event.evidence))].filter(Boolean);
  }

  hover(i) {
    const [left, top] = this.points[i];
    this.halo.setAttribute("cx", left);
    this.halo.setAttribute("cy", top);
    this.halo.setAttribute("visibility", "visible");
    this.pointed = i;
    const [title, ...rest] = this.words(this.events[i]);
    this.tip.replaceChildren(h("b", {}, title), ...rest.map(words => h("span", {}, wire(words))));
    this.tip.hidden = false;
    const ratio = this.place.clientWidth / this.width, room = this.place.clientWidth - this.tip.offsetWidth;
    this.tip.style.left = `${Math.min(Math.max(left * ratio - this.tip.offsetWidth / 2, 0), Math.max(room, 0))}px`;
    this.tip.style.top = `${top * ratio + 18}px`;
  }

  leave() {
    this.halo?.setAttribute("visibility", "hidden");
    this.tip.hidden = true;
    this.pointed = undefined;
  }

  near(event) {
    const box = this.svg.getBoundingClientRect(), ratio = this.width / box.width;
    const px = (event.clientX - box.left) * ratio, py = (event.clientY - box.top) * ratio;
    let best = -1, least = 18 ** 2;
    for (const [i, [left, top]] of this.points.entries()) {
      const distance = (left - px) ** 2 + (top - py) ** 2;
      if (distance < least) { least = distance; best = i; }
    }
    if (best < 0) this.leave();
    else if (best !== this.pointed) this.hover(best);
  }

  key(event) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
    if (event.key in steps && this.marks.length) {
      event.preventDefault();
      this.marks[this.focused].setAttribute("tabindex", "-1");
      this.focused = Math.min(Math.max(this.focused + steps[event.key], 0), this.marks.length - 1);
      this.marks[this.focused].setAttribute("tabindex", "0");
      this.marks[this.focused].focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.pointed = this.focused;
      this.choose();
    } else if (event.key === "Escape") this.leave();
  }

  // Keep an event below the timeline, with a filter to copy.
  choose() {
    if (this.pointed === undefined) return;
    const event = this.events[this.pointed], { evidence } = event, [title, ...rest] = this.words(event);
    const frames = evidence.filter(({ file }) => file === evidence[0].file).map(({ frame }) => frame);
    const filter = `frame.number in {${frames.join(", ")}}`;
    this.chosen.replaceChildren(h("p", {}, h("b", {}, title)), ...rest.map(words => h("p", {}, wire(words))),
      evidence.length ? h("div", { class: "buttons" }, copyButton("Copy filter for these frames", filter), copyButton("Copy for tshark", tshark(evidence, filter))) : "");
    this.chosen.hidden = false;
  }
}
