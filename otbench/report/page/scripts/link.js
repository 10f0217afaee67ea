// What is seen of a section as the part of the address behind #, and back.

const PLAIN = ["table", "x", "y", "colour", "log", "sort", "columns"];

function toLink(name, state) {
  const query = new URLSearchParams();
  if (state.view !== null && state.view !== undefined) query.set("view", state.view);
  for (const key of PLAIN) if (state[key] !== undefined && state[key] !== null) query.set(key, state[key]);
  for (const [column, text] of state.filters || []) if (text.trim()) query.set("is." + column, text);
  const text = query.toString();
  return "#" + encodeURIComponent(name) + (text ? "?" + text : "");
}

function fromLink(hash) {
  const [name, query] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const given = new URLSearchParams(query || "");
  const state = { filters: new Map() };
  for (const [key, text] of given) {
    if (key.startsWith("is.")) state.filters.set(key.slice(3), text);
    else if (key === "view") state.view = Number(text);
    else if (PLAIN.includes(key)) state[key] = text;
  }
  let section = "";
  try { section = decodeURIComponent(name); } catch { /* an address that somebody cut: no section */ }
  return { section, state, bare: !query };
}
