// One box that explains what the pointer or the keyboard is on.

const tip = {
  box: document.getElementById("tip"),
  owner: null,

  show(owner, lines, x, y) {
    this.owner = owner;
    this.box.replaceChildren(...lines.map(([label, text], place) => {
      const line = document.createElement("div");
      if (label) line.append(Object.assign(document.createElement("b"), { textContent: visible(label) + (text ? ": " : "") }));
      line.append(visible(text));
      line.className = place ? "" : "first";
      return line;
    }));
    this.box.hidden = false;
    const wide = this.box.offsetWidth, high = this.box.offsetHeight;
    this.box.style.left = Math.max(4, Math.min(x, innerWidth - wide - 8)) + "px";
    this.box.style.top = (y + high + 12 > innerHeight ? Math.max(4, y - high - 30) : y) + "px";
  },

  hide() {
    this.box.hidden = true;
    if (this.owner) this.owner.removeAttribute("aria-describedby");
    this.owner = null;
  },

  explain(target) {
    const owner = target.closest && target.closest("[data-def]");
    if (!owner || !owner.dataset.def) return;
    const place = owner.getBoundingClientRect();
    this.show(owner, [["", owner.dataset.def]], place.left, place.bottom + 6);
    owner.setAttribute("aria-describedby", "tip");
  },

  start() {
    document.addEventListener("pointerover", (event) => this.explain(event.target));
    document.addEventListener("focusin", (event) => this.explain(event.target));
    for (const kind of ["pointerout", "focusout"]) {
      document.addEventListener(kind, (event) => { if (this.owner && this.owner.contains(event.target)) this.hide(); });
    }
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") this.hide(); });
    document.addEventListener("scroll", () => this.hide(), { passive: true });
  },
};

function say(text) { document.getElementById("say").textContent = text; }

function make(kind, attributes = {}, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}
