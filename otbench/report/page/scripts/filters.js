// Filters: a text per column, of alternatives with commas between, becomes a mask of rows.

const EXACTLY = "=";

// Whether one alternative fits a value: a function of the value, which is null in an empty cell.
function fits(text, numeric) {
  if (text.startsWith("!")) {
    const inner = fits(text.slice(1).trim(), numeric);
    return (value) => !inner(value);
  }
  if (text === EXACTLY) return (value) => value === null;
  const range = text.match(/^(-?[\d.eE+-]*?)\.\.(-?[\d.eE+-]*)$/);
  if (numeric && range && (range[1] || range[2])) {
    const low = range[1] ? Number(range[1]) : -Infinity, high = range[2] ? Number(range[2]) : Infinity;
    return (value) => value !== null && value >= low && value <= high;
  }
  const sign = text.match(/^(>=|<=|>|<)\s*(\S+)$/);
  if (numeric && sign) {
    const limit = Number(sign[2]);
    const tests = { ">=": (v) => v >= limit, "<=": (v) => v <= limit, ">": (v) => v > limit, "<": (v) => v < limit };
    return (value) => value !== null && tests[sign[1]](value);
  }
  const asked = text.startsWith(EXACTLY) ? text.slice(1).trim() : text;
  if (numeric && asked !== "" && !Number.isNaN(Number(asked))) {
    const number = Number(asked);
    return (value) => value === number;
  }
  if (text.startsWith(EXACTLY)) return (value) => value !== null && String(value) === asked;
  const small = asked.toLowerCase();
  return (value) => value !== null && String(value).toLowerCase().includes(small);
}

function alternatives(text) {
  // a value that is asked for exactly may hold commas itself
  return text.startsWith(EXACTLY) && !/,\s*[=!]/.test(text) ? [text] : text.split(",").map((part) => part.trim()).filter(Boolean);
}

function predicate(text, numeric) {
  const tests = alternatives(text.trim());
  const wanted = tests.filter((test) => !test.startsWith("!")).map((test) => fits(test, numeric));
  const unwanted = tests.filter((test) => test.startsWith("!")).map((test) => fits(test, numeric));
  return (value) => (!wanted.length || wanted.some((test) => test(value))) && unwanted.every((test) => test(value));
}

// The rows that pass every filter, in their order.
function passing(table, filters) {
  const mask = new Uint8Array(table.rows).fill(1);
  for (const [name, text] of filters) {
    if (!table.has(name) || !text.trim()) continue;
    const column = table.column(name), test = predicate(text, column.numeric);
    if (column.values) {
      const pass = Uint8Array.from(column.values, (value) => Number(test(value)));
      for (let row = 0; row < table.rows; row++) mask[row] &= pass[column.codes[row]];
    } else {
      for (let row = 0; row < table.rows; row++) if (mask[row] && !test(column.value(row))) mask[row] = 0;
    }
  }
  let count = 0;
  for (let row = 0; row < table.rows; row++) count += mask[row];
  const rows = new Uint32Array(count);
  for (let row = 0, place = 0; row < table.rows; row++) if (mask[row]) rows[place++] = row;
  return rows;
}

// Rows by one column; rows without a value are last either way, equal ones keep their order.
function sorted(table, rows, name, down) {
  if (!name || !table.has(name)) return rows;
  const column = table.column(name), places = column.places();
  if (!places) return rows.slice().sort((a, b) => (down ? -1 : 1) * compared(column.value(a), column.value(b)));
  const some = rows.filter((row) => !Number.isNaN(places[row])), none = rows.filter((row) => Number.isNaN(places[row]));
  some.sort((a, b) => (down ? places[b] - places[a] : places[a] - places[b]) || a - b);
  const all = new Uint32Array(rows.length);
  all.set(some);
  all.set(none, some.length);
  return all;
}
