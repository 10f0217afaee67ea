// Packed tables, as otbench/report/page/columns.py writes them. A column is unpacked when it is first asked for.
"use strict";

const EXPONENT_ZERO = 400;
const NOTHING = 0xffff, INFINITY = 0xfffe, MINUS_INFINITY = 0xfffd;

async function unpacked(element) {
  const bytes = Uint8Array.from(atob(element.textContent.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

class Column {
  // A column has either codes with their values, or numbers; numbers of an empty cell are NaN.
  constructor(name, numeric, parts) {
    this.name = name;
    this.numeric = numeric;
    Object.assign(this, parts);
  }

  value(row) {
    if (this.values) return this.values[this.codes[row]];
    if (this.numbers) return Number.isNaN(this.numbers[row]) ? null : this.numbers[row];
    return this.key(row);
  }

  number(row) {
    if (this.numbers) return this.numbers[row];
    const value = this.value(row);
    return typeof value === "number" ? value : NaN;
  }

  // Numbers by which rows are sorted; empty cells are NaN.
  places() {
    if (this.numbers) return this.numbers;
    if (!this.values) return null;
    const order = this.values.map((value, code) => ({ value, code })).filter((entry) => entry.value !== null);
    order.sort((a, b) => (this.numeric ? a.value - b.value : compared(a.value, b.value)));
    const rank = new Float64Array(this.values.length).fill(NaN);
    order.forEach((entry, place) => { rank[entry.code] = place; });
    return Float64Array.from(this.codes, (code) => rank[code]);
  }
}

function compared(a, b) {
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

class Table {
  constructor(name, buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    this.name = name;
    this.rows = header.rows;
    this.names = header.columns.map((column) => column.name);
    this.told = new Map();
    this.known = new Map();
    let place = 4 + length;
    for (const column of header.columns) {
      const width = { hex: 6, digits: 5, codes: column.width }[column.kind];
      this.told.set(column.name, { column, bytes: new Uint8Array(buffer, place, width * this.rows) });
      place += width * this.rows;
    }
  }

  has(name) { return this.told.has(name); }

  column(name) {
    if (!this.known.has(name)) this.known.set(name, this.read(name));
    return this.known.get(name);
  }

  read(name) {
    const { column, bytes } = this.told.get(name);
    if (column.kind === "hex") return new Column(name, false, { key: (row) => hex(bytes, row) });
    if (column.kind === "digits") return new Column(name, true, { numbers: numbersOf(bytes, this.rows) });
    const wide = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[column.width];
    const values = column.values.map((value) => (column.numeric && value !== null ? Number(value) : value));
    return new Column(name, column.numeric, { values, codes: new wide(bytes.slice().buffer) });
  }
}

function hex(bytes, row) {
  return Array.from(bytes.subarray(6 * row, 6 * row + 6), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function numbersOf(bytes, rows) {
  const numbers = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const code = bytes[3 * rows + row] + 256 * bytes[4 * rows + row];
    if (code === NOTHING) numbers[row] = NaN;
    else if (code >= MINUS_INFINITY) numbers[row] = code === INFINITY ? Infinity : -Infinity;
    else {
      const digits = bytes[row] + 256 * bytes[rows + row] + 65536 * bytes[2 * rows + row];
      const number = Number(digits + "e" + ((code >> 1) - EXPONENT_ZERO - 6));  // rounded once, as Python rounds it
      numbers[row] = code & 1 ? -number : number;
    }
  }
  return numbers;
}

// Characters that cannot be seen, and those that turn the direction of text, are written as their numbers.
function visible(text) {
  return String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (letter) => "\\u" + letter.charCodeAt(0).toString(16).padStart(4, "0"));
}

function shown(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return visible(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const text = String(Number(value.toPrecision(4)));
  return text.length > 9 ? value.toExponential(3).replace(/\.?0*e/, "e") : text;
}
