// The picture of a section: drawn by plotly, explained by the page's own box, led by the keyboard too.

const MARKERS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x",
  "circle-open", "square-open", "triangle-up-open", "diamond-open", "triangle-down-open", "cross-open", "x-open"];
const POINTS_AT_MOST = 3000;

const plotly = {
  ready: null,
  // plotly.js stands in the page once, packed; it is unpacked when the first picture is drawn.
  load() {
    this.ready ??= (async () => {
      const text = new TextDecoder().decode(await unpacked(document.getElementById("plotly")));
      const script = document.createElement("script");
      script.textContent = text;
      document.head.append(script);
      return window.Plotly;
    })();
    return this.ready;
  },
};

// Text as plotly shows it: it reads some HTML in names, so that < and & are written out.
function inert(text) {
  return visible(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    ink: of("--ink"), soft: of("--soft"), grid: of("--line"), paper: of("--card"),
    palette: Array.from({ length: 7 }, (_, place) => of("--colour-" + place)),
  };
}

class Picture {
  // `on` has what the section does: choose(points).
  constructor(place, on) {
    this.on = on;
    this.box = make("div", { class: "plot", tabindex: "0", role: "application", "aria-roledescription": "interactive picture" });
    this.note = make("p", { class: "small", "aria-live": "polite" });
    place.append(this.box, this.note);
    this.at = -1;
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("blur", () => tip.hide());
    new ResizeObserver(() => this.resize()).observe(this.box);
  }

  async draw(table, rows, view, identity, label) {
    const Plotly = await plotly.load();
    Object.assign(this, { table, view, identity });
    const points = pointsOf(table, rows, view, identity), few = points.length > POINTS_AT_MOST
      ? points.filter((_, place) => place % Math.ceil(points.length / POINTS_AT_MOST) === 0) : points;
    const series = seriesOf(table, few, view);
    this.points = few;
    const known = [...new Set(series.map((one) => one.colour))];
    const traces = series.map((one, place) => this.trace(one, place, known));
    this.points = series.flatMap((one) => one.points);
    this.box.setAttribute("aria-label", label + ". " + points.length + " points; left and right go through them.");
    this.note.textContent = few.length < points.length
      ? "The picture has every " + Math.ceil(points.length / POINTS_AT_MOST) + "th of " + points.length + " points: filter to see all."
      : points.length ? "" : "No row that passes the filters has a number in both columns.";
    await Plotly.react(this.box, traces, this.layout(known), {
      displaylogo: false, responsive: false, showTips: false,
      modeBarButtonsToRemove: ["lasso2d", "autoScale2d"], toImageButtonOptions: { format: "svg" },
    });
    this.listen();
    this.quiet();
  }

  trace(one, place, known) {
    const theme = colours(), at = known.indexOf(one.colour), colour = at < COLOURS_AT_MOST ? theme.palette[at % 7] : theme.soft;
    one.points.forEach((point, k) => Object.assign(point, { curve: place, place: k }));
    const bars = one.points.some((point) => point.low !== undefined && !Number.isNaN(point.low));
    const categories = !this.table.column(this.view.x).numeric;
    return {
      type: "scatter", mode: one.joined ? "lines+markers" : "markers", hoverinfo: "none",
      x: categories ? one.points.map((point) => inert(point.x)) : bars ? this.aside(one.points.map((point) => point.x), at, known) : one.points.map((point) => point.x),
      y: one.points.map((point) => point.y),
      name: inert(one.colour === null ? "(none)" : shown(one.colour)), legendgroup: String(at), showlegend: this.first(place, one, known),
      line: { color: colour, width: 1.5 }, marker: { color: colour, size: 7, symbol: MARKERS[at % MARKERS.length], line: { width: 1, color: colour } },
      error_y: bars ? {
        type: "data", symmetric: false, color: colour, thickness: 1, width: 3,
        array: one.points.map((point) => Math.max(0, point.high - point.y) || 0), arrayminus: one.points.map((point) => Math.max(0, point.y - point.low) || 0),
      } : { visible: false },
    };
  }

  // Bars at one place would hide each other: the points of each colour stand a little aside, by no more than a hundredth or two.
  aside(values, at, known) {
    const places = [...new Set(this.points.map((point) => point.x))].filter((value) => typeof value === "number").sort((a, b) => a - b);
    const middle = (known.length - 1) / 2, log = (this.view.log || "").includes("x") && places[0] > 0;
    // along a steep curve, as of a power on a logarithmic axis, a place aside would be read as another value
    if (places.length < 2 || places.length > 12 || known.length < 2 || (this.view.log || "").includes("y")) return values;
    const step = log ? Math.log(places[places.length - 1] / places[0]) : places[places.length - 1] - places[0];
    const by = ((at - middle) / known.length) * 0.03 * step;
    return values.map((value) => (log ? value * Math.exp(by) : value + by));
  }

  first(place, one, known) {
    if (place === 0) this.named = new Set();
    if (this.named.has(one.colour) || known.indexOf(one.colour) >= COLOURS_AT_MOST) return false;
    return Boolean(this.named.add(one.colour));
  }

  layout(known) {
    const theme = colours(), narrow = this.box.clientWidth < 560, { view } = this;
    const axis = (name, letter) => ({
      title: { text: inert(name), standoff: 8 }, type: this.kindOf(name, letter), gridcolor: theme.grid, zerolinecolor: theme.soft,
      linecolor: theme.soft, tickcolor: theme.soft, automargin: true, exponentformat: "power", ticks: "outside",
      ...this.ticks(name, letter),
    });
    return {
      width: this.box.clientWidth, height: this.box.clientHeight, margin: { l: 60, r: 16, t: 12, b: 48 },
      paper_bgcolor: theme.paper, plot_bgcolor: theme.paper, font: { family: "system-ui, sans-serif", size: 13, color: theme.ink },
      xaxis: axis(view.x, "x"), yaxis: axis(view.y, "y"), hovermode: "closest", dragmode: "zoom", showlegend: known.length > 1,
      legend: { title: narrow ? {} : { text: inert(view.colour) + (known.length > COLOURS_AT_MOST ? " (first " + COLOURS_AT_MOST + ")" : "") },
        ...(narrow ? { orientation: "h", y: -0.25 } : { x: 1.02, y: 1 }) },
    };
  }

  kindOf(name, letter) {
    if (!this.table.column(name).numeric) return "category";
    return (this.view.log || "").includes(letter) ? "log" : "linear";
  }

  // A logarithmic axis of few places has its ticks there; one of few decades has them at 1, 2 and 5.
  ticks(name, letter) {
    if (this.kindOf(name, letter) !== "log") return {};
    const values = [...new Set(this.points.map((point) => point[letter]).filter((value) => value > 0))].sort((a, b) => a - b);
    const decades = values.length ? Math.log10(values[values.length - 1] / values[0]) : 0;
    if (this.identity.includes(name) && values.length <= 10) return { tickvals: values, ticktext: values.map(shown) };
    return decades > 2.5 ? { dtick: Math.ceil(decades / 8) } : { dtick: "D2", tickformat: "~g" };
  }

  listen() {
    if (this.listening) return;
    this.listening = true;
    this.box.on("plotly_hover", (found) => this.explain(this.pointOf(found.points[0]), found.event.clientX + 12, found.event.clientY + 12));
    this.box.on("plotly_unhover", () => tip.hide());
    this.box.on("plotly_click", (found) => this.on.choose([this.pointOf(found.points[0])]));
    this.box.on("plotly_selected", (found) => {
      if (found && found.points && found.points.length) this.on.choose(found.points.map((point) => this.pointOf(point)));
    });
  }

  pointOf(found) {
    return this.points.find((point) => point.curve === found.curveNumber && point.place === found.pointNumber);
  }

  // What a point is, line by line.
  told(point) {
    const { view } = this, lines = [[view.colour, shown(point.colour) || "(none)"], [view.x, shown(point.x)]];
    const bar = point.low === undefined || Number.isNaN(point.low) ? "" : " [" + shown(point.low) + ", " + shown(point.high) + "]";
    lines.push([view.y, shown(point.y) + bar]);
    point.names.forEach((name, place) => lines.push([name, shown(point.told[place]) || "(none)"]));
    if (point.rows.length > 1) lines.push(["rows", point.rows.length + ", median and range"]);
    return lines;
  }

  explain(point, x, y) { if (point) tip.show(this.box, this.told(point), x, y); }

  // A ring around the point that a row of the table is part of.
  ring(row) {
    const point = this.points && this.points.find((one) => one.rows.includes(row));
    this.mark(point);
  }

  mark(point) {
    const old = this.box.querySelector(".ringed");
    if (old) old.classList.remove("ringed");
    if (!point) return;
    const trace = this.box.querySelectorAll(".scatterlayer .trace")[point.curve];
    const drawn = trace && trace.querySelectorAll(".points path")[point.place];
    if (drawn) drawn.classList.add("ringed");
    return drawn;
  }

  // For a screen reader the drawing is one thing, and its points are spoken; plotly's buttons have names of their own.
  quiet() {
    this.box.querySelectorAll(".main-svg").forEach((part) => part.setAttribute("aria-hidden", "true"));
  }

  resize() {
    if (!this.table || !window.Plotly || !this.box.clientWidth || this.box.clientWidth === this.wide) return;
    this.wide = this.box.clientWidth;
    window.Plotly.relayout(this.box, { width: this.wide });
  }

  key(event) {
    if (event.target !== this.box || event.altKey || event.ctrlKey || event.metaKey || !this.points || !this.points.length) return;
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    if (steps[event.key]) this.step(steps[event.key]);
    else if (event.key === "Enter" && this.at >= 0) this.on.choose([this.points[this.at]]);
    else if (event.key === "+" || event.key === "=") this.zoom(0.7);
    else if (event.key === "-") this.zoom(1 / 0.7);
    else if (event.key === "0") window.Plotly.relayout(this.box, { "xaxis.autorange": true, "yaxis.autorange": true });
    else return;
    event.preventDefault();
  }

  step(by) {
    this.at = (this.at + by + this.points.length + (this.at < 0 && by < 0 ? 1 : 0)) % this.points.length;
    const point = this.points[this.at], drawn = this.mark(point);
    const place = (drawn || this.box).getBoundingClientRect();
    this.explain(point, place.right + 8, place.bottom + 8);
    say(this.told(point).map((line) => line.join(" ")).join(", "));
  }

  zoom(by) {
    const change = {};
    for (const name of ["xaxis", "yaxis"]) {
      const [low, high] = this.box._fullLayout[name].range, middle = (Number(low) + Number(high)) / 2, half = (by * (high - low)) / 2;
      change[name + ".range"] = [middle - half, middle + half];
    }
    window.Plotly.relayout(this.box, change);
  }
}
