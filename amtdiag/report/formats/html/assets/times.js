// Times of day and durations. All times of the page are nanoseconds since its start, or null.

let localZone = false;

function dateOf(time) {
  const start = BigInt(model.start);
  const ms = Number(start / 1000000n) + (Number(start % 1000000n) + time) / 1e6;
  return new Date(Math.min(Math.max(Math.floor(ms), -2208988800000), 253402300799999)); // 1900 to 9999
}

const two = number => String(number).padStart(2, "0");

function clock(date, parts = "day time") {
  const part = name => localZone ? date[`get${name}`]() : date[`getUTC${name}`]();
  const day = `${String(part("FullYear")).padStart(4, "0")}-${two(part("Month") + 1)}-${two(part("Date"))}`;
  const time = `${two(part("Hours"))}:${two(part("Minutes"))}:${two(part("Seconds"))}`;
  if (parts === "time") return time;
  if (parts === "ms") return `${time}.${String(part("Milliseconds")).padStart(3, "0")}`;
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
