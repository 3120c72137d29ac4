// Puts the page together.

function showEnvironment() {
  const { environment: told } = story;
  const pods = told.pods.map((pod) => [pod.name, number(pod.pid ?? "–"), pod.address, pod.state]);
  byId("environment").append(
    make("h2", {}, "Environment"),
    make("div", { class: "columns" },
      pairs([["cluster", told.cluster], ["store", told.store], ...plain(told.settings)]),
      pairs([...plain(told.versions), ...plain(told.machine)]),
      pods.length ? table(["pod", { shown: "pid", class: "number" }, "address", "at the end"], pods) : "",
      table(["file of the bundle", { shown: "size", class: "number" }], story.files.map(([name, size]) => [{ shown: name, class: "mono" }, number(sized(size))]))),
  );
}

const plain = (told) =>
  Object.entries(told).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]);

function showLegend() {
  const ofAttempts = new Set(attempts.how), ofCalls = new Set(calls.outcome);
  const told = HOWS.map((name, how) => [name, [
    ofAttempts.has(how) && HOW_WORDS[name],
    ofCalls.has(CALL_HOWS.indexOf(name)) && CALL_LEGEND[CALL_HOWS.indexOf(name)],
  ].filter(Boolean).join(" · ")]).filter(([, text]) => text);
  byId("search").hidden = !steps.count;
  if (story.lanes.some((lane) => lane.leads.length)) told.push(["leader", "leads"]);
  byId("legend").replaceChildren(...told.map(([name, text]) => make("span", {}, make("i", { colour: `var(--${name})` }), text)));
}

function showHints() {
  const left = story.steps.left_out + story.calls.left_out;
  const kept = left ? ` Of this long run ${story.steps.left_out.toLocaleString("en")} steps that went straight and ${story.calls.left_out.toLocaleString("en")} calls that succeeded are left out here; history.jsonl has them.` : "";
  byId("keys").textContent = `Drag or ← → to move · Ctrl + wheel or + − to zoom · ↑ ↓ choose a lane, N and P step through it · click for details.${kept}`;
}

function listen() {
  byId("in").addEventListener("click", () => span.zoom(0.5));
  byId("out").addEventListener("click", () => span.zoom(2));
  byId("all").addEventListener("click", () => span.all());
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const step = steps.places.get(byId("wanted").value.trim());
    byId("wanted").setCustomValidity(step === undefined ? "No such step is told of here" : "");
    if (step === undefined) byId("wanted").reportValidity();
    else choose({ step }, true);
  });
  byId("wanted").addEventListener("input", () => byId("wanted").setCustomValidity(""));
  addEventListener("hashchange", followHash);
  addEventListener("resize", () => span.changed());
  steerTimeline();
  steerOverview();
  charts.forEach(({ canvas }) => steer(canvas, () => 58));
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  readColours();
  choose(selection);
}

// A page opened as report.html#step=17 shows that step.
function followHash() {
  const [, id] = /^#step=(.+)$/.exec(decodeURIComponent(location.hash)) ?? [];
  const step = steps.places.get(id);
  if (step !== undefined) choose({ step }, true);
}

showHead();
showFindings();
showMeasures();
showLogs();
showEnvironment();
showLegend();
showHints();
listen();
span.listeners.push(drawOverview, drawTimeline, fitDetails, () => charts.forEach(drawChart));
setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
followHash();
