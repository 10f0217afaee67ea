// The page: sections that start when they are near, the theme, the address, and paper.

const THEMES = ["as the system", "light", "dark"];

const main = {
  sections: [],
  linked: "",

  start() {
    tip.start();
    this.sections = window.otbench.sections.map((facts, place) =>
      new Section(document.querySelector("[data-section='" + place + "']"), facts, place));
    this.theme();
    // the packed tables stand behind this script, so that the words are painted before they are read
    addEventListener("DOMContentLoaded", () => { this.follow(); this.watch(); });
    addEventListener("hashchange", () => this.follow());
    addEventListener("beforeprint", () => this.print(true));
    addEventListener("afterprint", () => this.print(false));
  },

  // The section and the state that the address names.
  async follow() {
    if (location.hash === this.linked) return;
    this.linked = location.hash;
    const { section, state, bare } = fromLink(location.hash);
    const found = this.sections.find((one) => one.facts.name === section);
    if (!found) return;
    found.element.scrollIntoView();
    if (!found.work) return;
    if (!found.started) await found.start(bare ? {} : state);
    else if (!bare) await found.set({ ...found.defaults(), ...state });
  },

  // A section starts when it is near, the others one after another while nothing else happens, so that all can be printed.
  watch() {
    const near = new IntersectionObserver((seen) => {
      for (const one of seen) if (one.isIntersecting) this.sections[Number(one.target.dataset.section)].start();
    }, { rootMargin: "400px" });
    this.sections.forEach((section) => near.observe(section.element));
    const rest = async () => {
      for (const section of this.sections) {
        await new Promise((done) => (window.requestIdleCallback || setTimeout)(done));
        await section.start();
      }
      document.documentElement.dataset.ready = "yes";
    };
    setTimeout(rest, 600);
  },

  theme() {
    const button = document.getElementById("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
    let kept = "";
    try { kept = localStorage.getItem("otbench-theme") || ""; } catch { /* a browser that keeps nothing of files */ }
    let place = Math.max(0, THEMES.indexOf(kept));
    const apply = () => {
      document.documentElement.dataset.theme = place ? THEMES[place] : "";
      button.textContent = "Theme: " + THEMES[place];
      for (const section of this.sections) if (section.table && section.rows) section.drawn();
    };
    button.addEventListener("click", () => {
      place = (place + 1) % THEMES.length;
      try { localStorage.setItem("otbench-theme", THEMES[place]); } catch { /* the same */ }
      apply();
    });
    dark.addEventListener("change", apply);
    apply();
  },

  print(on) {
    document.documentElement.classList.toggle("paper", on);
    for (const section of this.sections) section.print(on);
  },
};

main.start();
