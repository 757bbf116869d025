// Starts the page, and follows the part of the address behind #.

let list, timeline;

function rememberList(drawn) {
  if (drawn !== list || location.hash.startsWith("#device=")) return;
  const asked = Object.entries(drawn.filters).filter(([, value]) => value !== "");
  const wanted = asked.length ? `#list?${new URLSearchParams(asked)}` : "";
  if (wanted === location.hash || (!wanted && !location.hash.startsWith("#list?"))) return;
  try {
    history.replaceState(null, "", wanted || "#devices");
  } catch {
    // Where a file may not do so, filters are not part of the address.
  }
}

function follow() {
  const hash = location.hash;
  const wanted = hash.startsWith("#device=") ? decoded(hash.slice("#device=".length)) : null;
  const device = wanted === null ? undefined : rowOfDevice(wanted);
  const place = byId("device");
  timeline?.watcher.disconnect();
  timeline = undefined;
  place.hidden = device === undefined;
  byId("overview").hidden = device !== undefined;
  if (device !== undefined) {
    const view = deviceView(device, list);
    place.replaceChildren(view.place);
    timeline = view.ready();
    document.title = `${cell(model.devices, "name", device)} · amtdiag`;
    scrollTo({ top: 0, behavior: "instant" });
    byId("device-name").focus({ preventScroll: true });
    return;
  }
  place.replaceChildren();
  document.title = byId("says").textContent;
  if (wanted !== null) {
    list.show({ text: wanted, cause: "", stage: "", state: "" });
    say("No device has this name");
  } else if (hash.startsWith("#list?")) {
    const asked = Object.fromEntries(new URLSearchParams(hash.slice("#list?".length)));
    list.show({ text: "", cause: "", stage: "", state: "", ...asked });
  }
  const target = hash.startsWith("#list?") || wanted !== null ? "devices" : hash.slice(1);
  if (target) byId(target)?.scrollIntoView({ behavior: "instant" });
}

function decoded(words) {
  try {
    return decodeURIComponent(words);
  } catch {
    return words;
  }
}

async function start() {
  await readModel();
  document.documentElement.classList.add("js");
  list = new DeviceList(byId("list"));
  wakeOverview(list);
  addEventListener("hashchange", follow);
  document.addEventListener("zone", () => timeline?.draw());
  follow();
  document.documentElement.dataset.ready = "yes";
}

start().catch(error => {
  const place = document.querySelector("#devices .static");
  place.prepend(h("p", { role: "alert" }, `Search and timelines do not work here: ${error.message}.`));
});
