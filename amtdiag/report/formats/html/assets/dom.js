// Making elements. Text becomes text nodes, always: nothing here reads a string as markup.

const byId = id => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

const sign = (name, label) => s("svg", {
  class: `sign ${name}`, viewBox: "0 0 16 16", ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }),
}, s("use", { href: `#s-${name}` }));

// Text of the wire, with its reading direction kept to itself.
const wire = words => h("bdi", {}, words);

const counted = (number, thing, many = `${thing}s`) => number === 1 ? `1 ${thing}` : `${number.toLocaleString("en")} ${many}`;

function say(words) {
  byId("said").textContent = "";
  setTimeout(() => { byId("said").textContent = words; }, 50);
}

async function copy(words, button) {
  let done = false;
  try {
    await navigator.clipboard.writeText(words);
    done = true;
  } catch {
    // No permission, or no secure context: as pages copied before there was a clipboard to write to.
    const area = h("textarea", { class: "hidden", readonly: true }, words);
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const before = button.dataset.label ??= button.textContent;
  button.textContent = done ? "Copied" : "Select it and copy";
  say(button.textContent);
  setTimeout(() => { button.textContent = before; }, 1600);
}

const copyButton = (label, words) => h("button", { type: "button", class: "copy", "data-copy": words }, label);

// As a shell reads it.
const quoted = words => /^[\w@%+=:,.\/-]+$/.test(words) ? words : `'${words.replaceAll("'", `'"'"'`)}'`;
const tshark = (evidence, filter) => {
  const file = evidence[0].file;
  return `tshark -r ${file === "standard input" ? "CAPTURE" : quoted(file)} -Y ${quoted(filter)}`;
};

// Frames as people read them, with their file.
function framesText(evidence) {
  if (!evidence.length) return "";
  const files = new Map();
  for (const { file, frame } of evidence) {
    if (!files.has(file)) files.set(file, []);
    files.get(file).push(frame);
  }
  const several = model.captures.rows > 1;
  const parts = [...files].map(([file, frames]) => frames.join(", ") + (several ? ` of ${file}` : ""));
  return `${evidence.length === 1 ? "frame" : "frames"} ${parts.join("; ")}`;
}

// Every moment in the page can be read in either zone.
const moment = (time, parts) => time === null ? "–" : momentOf(dateOf(time), parts);
const momentOf = (date, parts = "day time") =>
  h("time", { datetime: date.toISOString(), "data-parts": parts }, shownMoment(date, parts));
const shownMoment = (date, parts) => parts === "day time" ? `${clock(date)} ${zoneName()}` : clock(date, parts);

function showZone() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.textContent = shownMoment(new Date(time.dateTime), time.dataset.parts ?? "day time");
  }
  byId("zone").textContent = localZone ? `Times in ${zoneName()}` : "Times in UTC";
  byId("zone").setAttribute("aria-pressed", String(localZone));
}
