// The head of the page: how it ended, why, and how to see it again.

const VERDICTS = { failed: ["fail", "Failed"], passed: ["pass", "Passed"], skipped: ["unknown", "Skipped"], unknown: ["unknown", "Not judged"] };

function showHead() {
  const { environment: told } = story;
  const doubtful = story.outcome === "passed" && story.verdict === "unknown";
  const [look, word] = doubtful ? ["unknown", "Passed, in doubt"] : VERDICTS[story.outcome] ?? VERDICTS.unknown;
  const [file, ...names] = told.test.split("::");
  const begun = story.wall ? new Date(story.wall * 1000) : null;
  const pods = story.lanes.filter((lane) => lane.type === "pod").length;
  byId("head").append(
    make("div", { class: "row" }, make("span", { class: `verdict ${look}`, id: "verdict" }, word),
      make("h1", {}, breakable(names.join("::") || told.test || story.folder)), themeButton()),
    make("div", { class: "facts" },
      ...[
        names.length ? fact("", file) : null,
        begun ? fact("", begun.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })) : null,
        fact("took", lasting(END)),
        fact("pods", pods),
        steps.count ? fact("steps", (steps.count + story.steps.left_out).toLocaleString("en")) : null,
        fact("calls", (calls.count + story.calls.left_out).toLocaleString("en")),
        fact("faults", story.faults.length),
        told.seed === null ? null : fact("seed", told.seed),
      ].filter(Boolean)),
    told.reproduce ? reproduceRow(told.reproduce) : "",
  );
}

// Long names may go on in a new line after each underscore.
const breakable = (text) => text.split("_").flatMap((part, i) => (i ? ["_", make("wbr"), part] : [part]));

const fact = (name, value) => make("span", {}, name ? `${name} ` : "", make("b", {}, String(value)));

function reproduceRow(command) {
  const button = make("button", { type: "button", onclick: () => copy(command, button) }, "Copy");
  return make("div", { class: "reproduce" }, make("code", { id: "reproduce", tabindex: "0", "aria-label": "How to run it again" }, command), button);
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(byId("reproduce"));
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

function themeButton() {
  return make("button", { type: "button", id: "theme", "aria-label": "Light or dark", title: "Light or dark", onclick: () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark") }, "◐");
}

function showFindings() {
  const place = byId("findings");
  if (story.failure) place.append(make("h2", {}, "The test failed"), ...failureText(story.failure));
  const broken = story.checkers.filter((one) => one.verdict !== "pass");
  const fine = story.checkers.filter((one) => one.verdict === "pass").map((one) => one.checker);
  if (broken.length) place.append(make("h2", {}, broken.some((one) => one.verdict === "fail") ? "Rules that were broken" : "What could not be told"));
  broken.forEach((checker) => checker.findings.forEach((finding) => place.append(findingCard(checker, finding))));
  broken.filter((one) => one.more).forEach((one) => place.append(make("p", { class: "muted" }, `… and more from ${one.checker}`)));
  if (fine.length) place.append(make("p", { class: "muted" }, `${counted(fine.length, "checker")} found nothing: ${fine.join(", ")}.`));
  if (!story.checkers.length) place.append(make("p", { class: "muted" }, "No checker judged this history."));
  for (const [title, text] of story.sections) place.append(make("details", {}, make("summary", {}, title), make("pre", {}, text)));
}

// The last error lines of a traceback say what happened; the rest is there on demand.
function failureText(text) {
  const rows = text.trim().split("\n");
  const errors = rows.filter((row) => /^E\s/.test(row)).map((row) => row.replace(/^E\s+/, ""));
  const short = (errors.length ? errors : rows.slice(-30)).filter((row) => !isToldBelow(row.trim())).slice(0, 12).join("\n");
  const whole = make("details", {}, make("summary", {}, "All that pytest says"), make("pre", {}, text));
  return [short ? make("div", { class: "finding fail" }, make("pre", {}, short)) : "", whole];
}

// Checkers put their findings into the failure too.
function isToldBelow(row) {
  return story.checkers.some((one) =>
    row.replace("fleetq: ", "") === `${one.checker}: ${one.verdict}` || one.findings.some((finding) => row.startsWith(finding.problem)));
}

function findingCard(checker, finding) {
  const step = finding.step === null ? undefined : steps.places.get(String(finding.step));
  const go = step === undefined ? [] : [" ", link(`Show step ${finding.step}`, () => choose({ step }, true))];
  const lines = finding.lines.map((line) => lineItem(line)).filter(Boolean);
  return make("div", { class: `finding ${finding.verdict}` },
    make("span", { class: `tag ${finding.verdict}` }, checker.checker),
    make("div", { class: "problem" }, finding.problem),
    lines.length ? make("ul", {}, lines) : "",
    ...go);
}

function lineItem(line) {
  const told = story.lines[line];
  if (!told) return null;
  const call = callOfLine(line), entry = call === undefined ? stepOfLine(line) : undefined;
  const fault = story.faults.findIndex((one) => one.lines.includes(line));
  const target = call !== undefined ? { call } : fault >= 0 ? { fault } : entry ? { step: entry.step } : null;
  const name = `line ${line}`;
  const head = target ? link(name, () => choose(target, true)) : name;
  return make("li", { title: told.text }, head, `: ${told.told}`);
}
