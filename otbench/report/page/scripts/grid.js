// A table that draws the rows that can be seen, and no others.

const ROW_HEIGHT = 28, MARGIN = 8, LETTER = 7.6, WIDEST = 300, NARROWEST = 84, HIGHEST = 384;

class Grid {
  // `on` has what the section does: sort(name), filter(name, text), open(row), point(row).
  constructor(place, definitions, on) {
    this.on = on;
    this.definitions = definitions;
    this.box = make("div", { class: "grid", role: "grid", tabindex: "0", "aria-label": "Rows" });
    this.head = make("div", { class: "head", role: "rowgroup" });
    this.body = make("div", { class: "body", role: "rowgroup" });
    this.box.append(this.head, this.body);
    place.append(this.box);
    this.at = { row: 0, column: 0 };
    this.id = "grid" + Grid.count++;
    this.box.addEventListener("scroll", () => this.draw(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("focus", () => this.mark(true));
    this.box.addEventListener("blur", () => this.mark(false));
    this.body.addEventListener("click", (event) => this.click(event));
    this.body.addEventListener("dblclick", () => this.on.open(this.rows[this.at.row]));
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  // rows that are drawn from the first one on, for paper, however the box is scrolled or sized; 0 on a screen
  onPaper = 0;

  setTable(table, names, filters, label) {
    this.table = table;
    this.names = names;
    this.box.setAttribute("aria-label", label);
    this.box.setAttribute("aria-colcount", names.length);
    this.widths = names.map((name) => this.widthOf(name));
    this.body.style.width = this.head.style.width = this.widths.reduce((sum, width) => sum + width, 0) + "px";
    this.template = this.widths.map((width) => width + "px").join(" ");
    this.headings = names.map((name, place) => this.heading(name, place));
    this.fields = names.map((name, place) => this.field(name, place, filters.get(name) || ""));
    this.head.replaceChildren(
      make("div", { class: "line", role: "row", "aria-rowindex": 1, style: "grid-template-columns:" + this.template }, ...this.headings),
      make("div", { class: "line", role: "row", "aria-rowindex": 2, style: "grid-template-columns:" + this.template }, ...this.fields));
    this.drawn = "";
  }

  widthOf(name) {
    const column = this.table.column(name);
    let longest = name.length + 3;
    for (let row = 0; row < Math.min(300, this.table.rows); row++) longest = Math.max(longest, shown(column.value(row)).length);
    return Math.round(Math.min(WIDEST, Math.max(NARROWEST, longest * LETTER + 18)));
  }

  heading(name, place) {
    const button = make("button", {
      type: "button", text: visible(name), "data-def": visible(this.definitions[name] || name), onclick: () => this.on.sort(name),
    });
    return make("div", { role: "columnheader", "aria-colindex": place + 1, "aria-sort": "none" }, button);
  }

  field(name, place, text) {
    const field = make("input", {
      type: "text", value: text, "aria-label": "Filter " + visible(name), placeholder: "filter", spellcheck: "false",
      oninput: () => this.on.filter(name, field.value),
    });
    return make("div", { role: "gridcell", "aria-colindex": place + 1 }, field);
  }

  setFilter(name, text) {
    const place = this.names.indexOf(name);
    if (place >= 0) this.fields[place].firstChild.value = text;
  }

  setRows(rows, sort) {
    const [name, down] = sort;
    this.rows = rows;
    this.headings.forEach((heading, place) => {
      heading.setAttribute("aria-sort", this.names[place] !== name ? "none" : down ? "descending" : "ascending");
    });
    this.box.setAttribute("aria-rowcount", rows.length + 2);
    this.body.style.height = Math.max(1, rows.length) * ROW_HEIGHT + "px";
    this.box.style.height = Math.min(HIGHEST, (rows.length + 2) * ROW_HEIGHT + 20) + "px";
    this.at = { row: Math.min(this.at.row, Math.max(0, rows.length - 1)), column: Math.min(this.at.column, this.names.length - 1) };
    this.drawn = "";
    this.draw();
  }

  draw() {
    if (!this.rows || !this.box.clientHeight) return;
    const all = this.onPaper;
    const first = all ? 0 : Math.max(0, Math.floor(this.box.scrollTop / ROW_HEIGHT) - MARGIN);
    const last = all ? Math.min(this.rows.length, all)
      : Math.min(this.rows.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW_HEIGHT) + MARGIN);
    if (this.drawn === first + " " + last) return;
    this.drawn = first + " " + last;
    const lines = [];
    for (let place = first; place < last; place++) lines.push(this.line(place));
    this.body.replaceChildren(...lines);
    this.mark(document.activeElement === this.box);
  }

  line(place) {
    const row = this.rows[place];
    const line = make("div", {
      class: "line" + (place % 2 ? " odd" : ""), role: "row", "aria-rowindex": place + 3,
      style: "grid-template-columns:" + this.template + ";transform:translateY(" + place * ROW_HEIGHT + "px)",
    });
    line.dataset.place = place;
    this.names.forEach((name, index) => {
      const column = this.table.column(name), value = column.value(row);
      line.append(make("div", {
        role: "gridcell", id: this.id + "-" + place + "-" + index, "aria-colindex": index + 1,
        class: column.numeric ? "number" : "", title: value === null ? null : visible(value), text: shown(value),
      }));
    });
    return line;
  }

  mark(focused) {
    this.body.querySelectorAll(".at").forEach((cell) => cell.classList.remove("at", "in"));
    const cell = document.getElementById(this.id + "-" + this.at.row + "-" + this.at.column);
    this.box.toggleAttribute("aria-activedescendant", false);
    if (!focused || !cell) return;
    cell.classList.add("at");
    this.box.setAttribute("aria-activedescendant", cell.id);
  }

  click(event) {
    const cell = event.target.closest("[role=gridcell]"), line = event.target.closest("[role=row]");
    if (!cell || !line) return;
    this.move(Number(line.dataset.place), Number(cell.getAttribute("aria-colindex")) - 1);
  }

  move(row, column) {
    if (!this.rows.length) return;
    this.at = { row: Math.max(0, Math.min(this.rows.length - 1, row)), column: Math.max(0, Math.min(this.names.length - 1, column)) };
    const top = this.at.row * ROW_HEIGHT, head = this.head.offsetHeight;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    if (top + ROW_HEIGHT + head > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + ROW_HEIGHT + head - this.box.clientHeight + 16;
    const left = this.widths.slice(0, this.at.column).reduce((sum, width) => sum + width, 0), wide = this.widths[this.at.column];
    if (left < this.box.scrollLeft) this.box.scrollLeft = left;
    if (left + wide > this.box.scrollLeft + this.box.clientWidth) this.box.scrollLeft = left + wide - this.box.clientWidth;
    this.draw();
    this.mark(document.activeElement === this.box);
    this.on.point(this.rows[this.at.row]);
  }

  key(event) {
    if (event.target !== this.box || event.altKey || event.metaKey) return;
    const page = Math.max(1, Math.floor((this.box.clientHeight - this.head.offsetHeight) / ROW_HEIGHT) - 1);
    const { row, column } = this.at, end = this.rows.length - 1, last = this.names.length - 1;
    const moves = {
      ArrowDown: [row + 1, column], ArrowUp: [row - 1, column], ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1],
      PageDown: [row + page, column], PageUp: [row - page, column],
      Home: event.ctrlKey ? [0, 0] : [row, 0], End: event.ctrlKey ? [end, last] : [row, last],
    };
    if (event.key === "Enter" && this.rows.length) this.on.open(this.rows[row]);
    else if (moves[event.key]) this.move(...moves[event.key]);
    else return;
    event.preventDefault();
  }
}
Grid.count = 0;
