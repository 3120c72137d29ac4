// The end of each pod's log; lines of JSON, such as FLEET-Q pods write, are spelled out.

function showLogs() {
  const place = byId("logs");
  place.append(make("h2", {}, "Logs"));
  if (!story.logs.length) {
    place.append(make("p", { class: "muted" }, "No pod left a log."));
    return;
  }
  const pane = make("div", { class: "log", id: "log", tabindex: "0", role: "tabpanel", "aria-label": "Log" });
  const note = make("p", { class: "hint" });
  const tabs = story.logs.map((log, index) =>
    make("button", { type: "button", role: "tab", "aria-selected": "false", onclick: () => showLog(index) }, log.pod));
  const showLog = (index) => {
    tabs.forEach((tab, i) => tab.setAttribute("aria-selected", String(i === index)));
    const log = story.logs[index];
    pane.replaceChildren(...log.lines.map(logLine));
    pane.scrollTop = pane.scrollHeight;
    note.textContent = log.left_out ? `The last ${counted(log.lines.length, "line")}; ${sized(log.left_out)} before them are in ${log.path}.` : `All of it; the file is ${log.path}.`;
    if (!log.lines.length) pane.append(make("div", {}, "It logged nothing."));
  };
  place.append(make("div", { class: "tabs", role: "tablist" }, tabs), pane, note);
  showLog(0);
}

function logLine(text) {
  const told = structured(text);
  if (!told) return make("div", { class: levelOf(text) }, make("time", {}, ""), make("span", {}, text));
  const at = story.wall && told.timestamp ? Date.parse(told.timestamp) / 1000 - story.wall : NaN;
  const shown = Number.isNaN(at) ? "" : at.toFixed(3);
  const inside = at >= 0 && at <= END;
  const time = inside ? link(shown, () => span.reveal(at, at), { title: "Show this moment" }) : make("time", {}, shown);
  const { event, level = "info", timestamp, pod, exception, ...more } = told;
  const rest = Object.entries(more).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return make("div", { class: levelOf(level) },
    time, make("span", {}, make("b", {}, event ?? ""), ` ${rest.join(" ")}`, exception ? folded(exception) : ""));
}

function folded(text) {
  const last = text.trim().split("\n").at(-1);
  return make("details", {}, make("summary", {}, last), text);
}

function structured(text) {
  if (!text.startsWith("{")) return null;
  try {
    const told = JSON.parse(text);
    return told && typeof told === "object" && typeof told.event === "string" ? told : null;
  } catch {
    return null;
  }
}

function levelOf(text) {
  if (/\b(error|critical|fatal|panic|exception|traceback)\b/i.test(text)) return "error";
  return /\bwarn(ing)?\b/i.test(text) ? "warning" : "";
}
