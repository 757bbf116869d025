"use strict";
// The data of the page: tables whose rows are read when somebody asks. amtdiag/report/formats/html/model.py
// describes them.

let model;

async function readModel() {
  const carried = JSON.parse(document.getElementById("model").textContent);
  model = "deflate" in carried ? await unpacked(carried.deflate) : carried;
}

async function unpacked(base64) {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack the data of the page");
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

function cell(table, name, row) {
  const column = table.columns[name];
  return Array.isArray(column) ? column[row] : column.values[column.places[row]];
}

// A row with all its cells, and its frames with their files as `evidence`.
function readRow(table, row) {
  const found = { row };
  for (const name of Object.keys(table.columns)) found[name] = cell(table, name, row);
  if (found.frames) found.evidence = found.frames.map((frame, i) => ({ frame, file: found.files[i] }));
  return found;
}

const rowNumbers = table => Array.from({ length: table.rows }, (_, row) => row);

const once = make => { let made; return () => made ??= make(); };

// Gives the rows of a table that belong to a device; null is none.
function byDevice(name) {
  const numbers = once(() => {
    const found = new Map();
    for (const row of rowNumbers(model[name])) {
      const device = cell(model[name], "device", row);
      if (!found.has(device)) found.set(device, []);
      found.get(device).push(row);
    }
    return found;
  });
  return device => (numbers().get(device) ?? []).map(row => readRow(model[name], row));
}

const modesOf = byDevice("modes"), stagesOf = byDevice("stages"), eventsOf = byDevice("events"), unknownsOf = byDevice("unknowns");
const findingRowsOf = byDevice("findings");
const findingsOf = device => findingRowsOf(device).map(withTitle);

const withTitle = finding => ({ ...readRow(model.causes, finding.group), ...finding });
const readFinding = row => withTitle(readRow(model.findings, row));
