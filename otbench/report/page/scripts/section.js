// A section: what is chosen, and its picture and table, which show the same rows.

class Section {
  constructor(element, facts, place) {
    Object.assign(this, { element, facts, place, tables: new Map(), state: {} });
    this.work = element.querySelector("[data-work]");
  }

  defaults() {
    const state = { view: this.facts.views.length ? 0 : null, filters: new Map(), sort: "" };
    return this.facts.views.length ? { ...state, ...this.viewed(0) } : { ...state, ...this.axesOf(this.facts.tables[0].name) };
  }

  viewed(place) {
    const { table, x, y, colour, log, filters } = this.facts.views[place];
    return { view: place, table, x, y, colour, log, filters: new Map(Object.entries(filters)), columns: null, sort: "" };
  }

  // Axes for a table that no view is of: its first varying name against its first number.
  axesOf(name) {
    const { identity, shown: names } = this.factsOf(name), measured = names.filter((one) => !identity.includes(one));
    const shownNames = names.filter((one) => identity.includes(one) && !SEEDS.has(one));
    return { table: name, x: shownNames[0] || names[0], y: measured[0] || names[0], colour: shownNames[1] || shownNames[0] || names[0], log: "" };
  }

  factsOf(name) { return this.facts.tables.find((table) => table.name === name) || this.facts.tables[0]; }

  async tableOf(name) {
    if (!this.tables.has(name)) {
      const place = this.facts.tables.findIndex((table) => table.name === name);
      const element = document.getElementById("table-" + this.place + "-" + place);
      this.tables.set(name, unpacked(element).then((buffer) => new Table(name, buffer)));
    }
    return this.tables.get(name);
  }

  async start(given) {
    if (!this.work || this.started) return this.started;
    this.build();
    this.started = this.set(given || {});
    await this.started;
    this.element.dataset.ready = "yes";
    return this.started;
  }

  build() {
    const id = (name) => "s" + this.place + "-" + name;
    const pick = (name, label, change) => {
      const field = make("select", { id: id(name), onchange: () => change(field.value) });
      this.fields[name] = field;
      return make("div", { class: "field" }, make("label", { for: id(name), text: label }), field);
    };
    const log = (letter) => {
      const box = make("input", { type: "checkbox", id: id("log" + letter), onchange: () => this.change({ log: this.logs() }) });
      this.fields["log" + letter] = box;
      return make("label", { class: "tick" }, box, " log " + letter);
    };
    this.fields = {};
    this.caption = make("figcaption");
    const figure = make("figure", {}, this.caption);
    this.count = make("p", { class: "count" });
    this.chooser = make("details", { class: "chooser", ontoggle: () => this.offerColumns() }, make("summary", { text: "Columns" }));
    this.work.append(
      make("div", { class: "tools" }, pick("view", "View", (value) => this.choose(value)), pick("y", "y axis", (y) => this.change({ y })),
        pick("x", "x axis", (x) => this.change({ x })), pick("colour", "colour", (colour) => this.change({ colour })), log("y"), log("x")),
      figure,
      make("div", { class: "tools" }, pick("table", "Table", (name) => this.change({ ...this.axesOf(name), filters: new Map(), columns: null, sort: "" })),
        this.count, make("button", { type: "button", text: "Show all rows", onclick: () => this.change({ filters: new Map() }) }),
        this.chooser, make("button", { type: "button", text: "Download CSV", onclick: () => this.save() })));
    this.picture = new Picture(figure, { choose: (points) => this.narrow(points) });
    const place = make("div");
    this.work.append(place);
    this.grid = new Grid(place, {}, {
      sort: (name) => this.sort(name), filter: (name, text) => this.filter(name, text),
      open: (row) => this.open(row), point: (row) => this.picture.ring(row),
    });
    this.fields.table.replaceChildren(...this.facts.tables.map((table) => make("option", { value: table.name, text: table.name + " (" + table.lines + ")" })));
    this.fields.view.replaceChildren(...this.facts.views.map((view, index) => make("option", { value: String(index), text: view.title })),
      make("option", { value: "", text: "a choice of your own" }));
  }

  logs() { return ["x", "y"].filter((letter) => this.fields["log" + letter].checked).join(""); }

  choose(value) { if (value !== "") this.change(this.viewed(Number(value)), true); }

  // A change that somebody makes here: it is seen, and kept in the address.
  async change(part, keepsView) {
    const axes = ["x", "y", "colour", "log", "table"].some((key) => key in part);
    await this.set({ ...this.state, ...(axes && !keepsView ? { view: null } : {}), ...part });
    history.replaceState(null, "", toLink(this.facts.name, this.state));
    main.linked = location.hash;
  }

  // Everything as a state says it; what it does not say, or says of columns that are not there, is the default.
  async set(given) {
    const base = given.view !== undefined && given.view !== null && this.facts.views[given.view] ? this.viewed(given.view) : this.defaults();
    let state = { ...base, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
    if (!this.facts.tables.some((table) => table.name === state.table)) state = { ...state, ...this.axesOf(this.facts.tables[0].name) };
    const table = await this.tableOf(state.table), { definitions } = this.factsOf(state.table);
    if (!["x", "y", "colour"].every((key) => table.has(state[key]))) Object.assign(state, this.axesOf(state.table));
    const before = this.table === table && this.names ? this.names.join(" ") : null;
    this.state = state;
    this.table = table;
    this.names = this.columnsOf(state);
    const fresh = before !== this.names.join(" ");
    this.grid.definitions = definitions;
    if (fresh) this.grid.setTable(table, this.names, state.filters, this.facts.name + ": rows of " + table.name);
    else for (const name of this.names) this.grid.setFilter(name, state.filters.get(name) || "");
    this.show();
    this.update();
    await this.drawn();
  }

  columnsOf(state) {
    const asked = (state.columns || "").split(" ").filter((name) => this.table.has(name));
    if (asked.length) return asked;
    const filtered = [...state.filters.keys()].filter((name) => this.table.has(name));
    const axes = [state.x, state.colour, state.y];
    return [...new Set([...axes, ...this.factsOf(state.table).shown.filter((name) => this.table.has(name)), ...filtered])];
  }

  show() {
    const { state, table } = this, { identity } = this.factsOf(state.table);
    const numbers = table.names.filter((name) => table.column(name).numeric);
    const offer = (field, names, value) => field.replaceChildren(...names.map((name) => make("option", { value: name, text: visible(name), selected: name === value })));
    offer(this.fields.y, [...new Set([state.y, ...numbers])], state.y);
    offer(this.fields.x, [...new Set([state.x, ...identity, ...numbers])], state.x);
    offer(this.fields.colour, [...new Set([state.colour, ...identity])], state.colour);
    const { definitions } = this.factsOf(state.table);
    for (const key of ["x", "y", "colour"]) this.fields[key].dataset.def = visible(state[key]) + ": " + visible(definitions[state[key]] || "");
    this.fields.table.value = state.table;
    this.fields.view.value = state.view === null || state.view === undefined ? "" : String(state.view);
    for (const letter of ["x", "y"]) this.fields["log" + letter].checked = (state.log || "").includes(letter);
    const view = this.facts.views[state.view];
    this.caption.replaceChildren(make("b", { text: view ? view.title : visible(state.y) + " against " + visible(state.x) }),
      make("span", { text: view ? view.caption : "Rows that differ in their seed alone are one point: their median, with a bar over their range." }));
  }

  update() {
    const { table, state } = this, name = (state.sort || "").replace(/^-/, ""), down = (state.sort || "").startsWith("-");
    this.rows = passing(table, state.filters);
    this.grid.setRows(sorted(table, this.rows, name, down), [name, down]);
    const told = [...state.filters].filter(([column, text]) => text.trim() && table.has(column)).map(([column, text]) => visible(column) + " " + visible(text));
    this.count.textContent = this.rows.length === table.rows ? "all " + table.rows + " rows" : this.rows.length + " of " + table.rows + " rows: " + told.join(", ");
    this.count.title = this.count.textContent;
  }

  drawn() {
    return this.picture.draw(this.table, this.rows, this.state, this.factsOf(this.state.table).identity,
      this.facts.name + ": " + this.caption.textContent);
  }

  sort(name) {
    const now = this.state.sort || "";
    return this.change({ sort: now === name ? "-" + name : now === "-" + name ? "" : name });
  }

  // A filter that is being typed: the table follows at once, the picture when the typing rests.
  filter(name, text) {
    const filters = new Map(this.state.filters);
    if (text.trim()) filters.set(name, text); else filters.delete(name);
    this.state = { ...this.state, filters };
    const before = performance.now();
    this.update();
    this.filterTook = performance.now() - before;
    clearTimeout(this.later);
    this.later = setTimeout(() => {
      history.replaceState(null, "", toLink(this.facts.name, this.state));
      main.linked = location.hash;
      say(this.count.textContent);
      this.drawn();
    }, 250);
  }

  // The rows of some points, as filters, so that they can be sent to somebody too.
  narrow(points) {
    const { state, table } = this, filters = new Map(state.filters);
    const exactly = (value) => EXACTLY + (value === null ? "" : String(value));
    const these = (name, values) => {
      const some = [...new Set(values)];
      if (table.column(name).numeric && some.length > 1 && !some.includes(null)) filters.set(name, Math.min(...some) + ".." + Math.max(...some));
      else filters.set(name, some.map(exactly).join(", "));
    };
    these(state.x, points.map((point) => point.x));
    these(state.colour, points.map((point) => point.colour));
    if (points.length === 1) points[0].names.forEach((name, place) => filters.set(name, exactly(points[0].told[place])));
    else these(state.y, points.flatMap((point) => point.rows.map((row) => table.column(state.y).number(row))));
    say("The table shows the rows of " + points.length + (points.length === 1 ? " point" : " points"));
    return this.change({ filters });
  }

  offerColumns() {
    if (!this.chooser.open || this.offered === this.state.table) return;
    this.offered = this.state.table;
    const find = make("input", { type: "search", "aria-label": "Find a column", placeholder: "find a column" });
    const boxes = this.table.names.map((name) => {
      const box = make("input", { type: "checkbox", value: name });
      box.checked = this.names.includes(name);
      box.addEventListener("change", () => this.change({ columns: boxes.filter((one) => one.firstChild.checked).map((one) => one.firstChild.value).join(" ") || null }));
      return make("label", { class: "tick", "data-def": visible(this.factsOf(this.state.table).definitions[name] || name) }, box, " " + visible(name));
    });
    const all = (checked) => { for (const one of boxes) one.firstChild.checked = checked(one.firstChild.value); };
    const button = (text, names) => make("button", { type: "button", text, onclick: () => {
      all((name) => !names || names.includes(name));
      this.change({ columns: names ? null : this.table.names.join(" ") });
    } });
    find.addEventListener("input", () => { for (const one of boxes) one.hidden = !one.textContent.includes(find.value.trim()); });
    const panel = make("div", { class: "panel" }, find, button("All", null), button("As at first", this.factsOf(this.state.table).shown), ...boxes);
    this.chooser.replaceChildren(this.chooser.firstElementChild, panel);
  }

  save() {
    const [name, down] = [(this.state.sort || "").replace(/^-/, ""), (this.state.sort || "").startsWith("-")];
    download(this.facts.name + "-" + this.table.name + ".csv", csv(this.table, sorted(this.table, this.rows, name, down), this.names));
  }

  // Everything that a row says, with the command that runs it again.
  open(row) {
    const { table } = this, dialog = document.getElementById("row"), { definitions } = this.factsOf(this.state.table);
    const key = table.has("key") ? table.column("key").value(row) : null;
    document.getElementById("row-title").textContent = this.facts.name + ": a row of " + table.name;
    const lines = key && /^[0-9a-f]+$/.test(key) ? [["to run it again", "otbench run " + this.facts.name + " --only " + key]] : [];
    for (const name of table.names) if (table.column(name).value(row) !== null) lines.push([name, table.column(name).value(row)]);
    dialog.querySelector("tbody").replaceChildren(...lines.map(([name, value]) => make("tr", {},
      make("th", { scope: "row" }, definitions[name] ? make("span", { class: "term", tabindex: "0", "data-def": visible(definitions[name]), text: visible(name) }) : visible(name)),
      make("td", { text: visible(value) }))));
    dialog.showModal();
    document.getElementById("row-title").focus();
  }

  print(on) {
    if (!this.grid || !this.rows) return;
    this.grid.drawn = "";
    this.element.classList.toggle("printed", on);
    this.grid.onPaper = on ? 25 : 0;
    this.grid.draw();
    this.drawn();
  }
}
