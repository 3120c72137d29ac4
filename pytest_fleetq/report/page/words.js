// Elements, and numbers as people read them.

function make(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "colour") element.style.background = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const byId = (id) => document.getElementById(id);
const link = (text, onclick, about = {}) =>
  make("button", { type: "button", class: "link", onclick, ...about }, text);
const dot = (colour) => make("i", { class: "dot", colour });

const pairs = (rows) => {
  const given = rows.filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const cells = given.map(([name, value]) => make("tr", {}, make("td", {}, name), make("td", {}, value)));
  return given.length ? make("div", { class: "scroll" }, make("table", { class: "pairs" }, make("tbody", {}, cells))) : "";
};

function table(headings, rows) {
  const cell = (tag, one) =>
    make(tag, { class: typeof one === "number" ? "number" : one?.class }, one?.shown ?? one ?? "");
  const head = make("tr", {}, headings.map((one) => cell("th", one)));
  const body = rows.map((row) => make("tr", {}, row.map((one) => cell("td", one))));
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, body)));
}

const number = (shown) => ({ shown: String(shown), class: "number" });
const counted = (many, one) => `${many.toLocaleString("en")} ${one}${many === 1 ? "" : "s"}`;

function lasting(seconds) {
  if (seconds < 0.001) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${trimmed((seconds * 1e3).toPrecision(3))} ms`;
  return seconds < 120 ? `${trimmed(seconds.toPrecision(4))} s` : `${(seconds / 60).toFixed(1)} min`;
}

const moment = (seconds) => `${seconds.toFixed(3)} s`;
const trimmed = (text) => (text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text);

function measured(value, unit = "") {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : trimmed(value.toPrecision(4));
  return unit ? `${text} ${unit}` : text;
}

function sized(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1048576).toFixed(1)} MB`;
}
