// The points of a picture: the rows that differ in their seed alone are one point, points that differ along x one series.

const SEEDS = new Set(["seed", "training_seed"]);
const LINES_AT_MOST = 40, COLOURS_AT_MOST = 14;

// The ends of a number's interval, where the table has them beside it.
function endsOf(table, name) {
  const stem = name.replace(/_median$/, "");
  for (const [low, high] of [["_low", "_high"], ["_q1", "_q3"]]) {
    if (table.has(stem + low) && table.has(stem + high)) return [stem + low, stem + high];
  }
  return null;
}

function median(values) {
  const order = Float64Array.from(values).sort(), half = order.length >> 1;
  return order.length % 2 ? order[half] : (order[half - 1] + order[half]) / 2;
}

// Every point with its rows, its place, the ends of its bar, and the text of what tells it from others.
function pointsOf(table, rows, view, identity) {
  const x = table.column(view.x), y = table.column(view.y), ends = endsOf(table, view.y);
  const names = identity.filter((name) => name !== view.x && name !== view.colour && name !== view.y && !SEEDS.has(name) && varies(table, rows, name));
  const columns = names.map((name) => table.column(name)), colour = table.column(view.colour), found = new Map();
  const apart = columns.filter((column) => !follows(rows, column, x, colour));
  for (const row of rows) {
    if (x.value(row) === null || Number.isNaN(y.number(row))) continue;
    const series = [colour.value(row), ...apart.map((column) => column.value(row))];
    const key = JSON.stringify([x.value(row), ...series]);
    if (!found.has(key)) found.set(key, { x: x.value(row), colour: colour.value(row), series: JSON.stringify(series), rows: [], names, told: columns.map((column) => column.value(row)) });
    found.get(key).rows.push(row);
  }
  const points = [...found.values()];
  for (const point of points) {
    const values = point.rows.map((row) => y.number(row));
    point.y = median(values);
    if (ends && point.rows.length === 1) {
      [point.low, point.high] = ends.map((name) => table.column(name).number(point.rows[0]));
    } else if (values.length > 1) {
      point.low = Math.min(...values);
      point.high = Math.max(...values);
    }
  }
  return points;
}

// Whether a column has one value wherever the axes have theirs: it tells no two series apart.
function follows(rows, column, x, colour) {
  const known = new Map();
  for (const row of rows) {
    const key = JSON.stringify([x.value(row), colour.value(row)]), value = column.value(row);
    if (!known.has(key)) known.set(key, value);
    else if (known.get(key) !== value) return false;
  }
  return true;
}

function varies(table, rows, name) {
  if (!rows.length) return false;
  const column = table.column(name), first = column.value(rows[0]);
  return rows.some((row) => column.value(row) !== first);
}

// The series in the order of their colours: [{colour, points, joined}].
function seriesOf(table, points, view) {
  const groups = new Map();
  for (const point of points) {
    if (!groups.has(point.series)) groups.set(point.series, []);
    groups.get(point.series).push(point);
  }
  const alongNumbers = table.column(view.x).numeric;
  const series = [...groups.values()].map((part) => {
    if (alongNumbers) part.sort((a, b) => a.x - b.x);
    return { colour: part[0].colour, points: part };
  });
  const lines = series.filter((one) => one.points.length > 1).length;
  for (const one of series) one.joined = alongNumbers && one.points.length > 1 && lines <= LINES_AT_MOST;
  const numeric = table.column(view.colour).numeric;
  series.sort((a, b) => (numeric ? a.colour - b.colour : compared(a.colour ?? "", b.colour ?? "")));
  return series;
}
