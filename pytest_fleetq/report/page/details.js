// What is chosen, and all that is known of it.

let selection = null; // {step, bar?}, {call}, {fault}, {lane} or {line}

function choose(chosen, reveal = false) {
  selection = chosen;
  if (chosen?.lane !== undefined) timeline.lane = chosen.lane;
  const bars = chosenBars();
  if (bars[0] !== undefined) timeline.lane = isCall(bars[0]) ? laneOfWord[calls.lane[callOf(bars[0])]] : attempts.lane[bars[0]];
  if (reveal) revealChosen(bars);
  byId("details").replaceChildren(...details());
  span.changed();
}

function revealChosen(bars) {
  if (selection.fault !== undefined) {
    const fault = story.faults[selection.fault];
    span.reveal(fault.start, endOfFault(fault));
  } else if (bars.length) {
    span.reveal(Math.min(...bars.map(beginOf)), Math.max(...bars.map(endOf)));
  } else if (selection.step >= 0) {
    const first = steps.at[steps.first[selection.step]];
    span.reveal(first, first);
  }
  byId("timeline").scrollIntoView({ block: "nearest" });
}

// The panel beside the pictures is as high as they are.
function fitDetails() {
  const beside = byId("details").offsetTop < byId("pictures").offsetTop + 40;
  byId("details").style.maxHeight = beside ? `${Math.max(byId("pictures").offsetHeight, 380)}px` : "";
}

const chosenStep = () => selection?.step ?? -1;
const isChosen = (one) => selection?.fault !== undefined && selection.fault === one.fault;

function chosenBars() {
  if (selection?.call !== undefined) return [attempts.step.length + selection.call];
  if (selection?.step === undefined) return [];
  if (selection.bars?.of !== selection.step) selection.bars = Object.assign(barsOfStep(selection.step), { of: selection.step });
  return selection.bars;
}

function details() {
  if (!selection) return restDetails();
  if (selection.step !== undefined) return stepDetails(selection.step);
  if (selection.call !== undefined) return callDetails(selection.call);
  if (selection.fault !== undefined) return faultDetails(story.faults[selection.fault]);
  return laneDetails(story.lanes[selection.lane], selection.lane);
}

function stepDetails(step) {
  const [kind, queue] = words[steps.about[step]].split("\t");
  const facts = [kind && `kind ${kind}`, queue && `queue ${queue}`, words[steps.state[step]]].filter(Boolean);
  const rows = [];
  for (let j = steps.first[step]; j < steps.first[step + 1]; j++) rows.push(entryRow(j));
  const bars = barsOfStep(step);
  return [
    make("h3", {}, `Step ${steps.ids[step]}`),
    make("p", { class: "muted" }, `${facts.join(" · ")} · ${counted(bars.length, "attempt")}`),
    table(["time", "what", "who", "line"], rows),
    closeLink(),
  ];
}

function entryRow(entry) {
  const at = steps.at[entry], line = steps.line[entry], call = callOfLine(line);
  const who = steps.who(entry) || (call === undefined ? "" : words[calls.lane[call]]);
  const mark = steps.mark(entry), text = steps.text(entry);
  const told = mark && mark !== "opens" ? make("span", {}, dot(colours[mark]), text) : text;
  const where = call === undefined ? String(line) : link(String(line), () => choose({ call }, true), { title: "Show the call" });
  return [number(at.toFixed(3)), { shown: told }, who, { shown: where, class: "number" }];
}

function callDetails(call) {
  const took = story.calls.took[call] < 0 ? "no answer" : lasting(calls.end[call] - calls.begin[call]);
  const rows = [
    ["asked", words[calls.asked[call]] || "–"],
    ["outcome", CALL_WORDS[calls.outcome[call]]],
    ["error", words[calls.error[call]]],
    ["began", moment(calls.begin[call])],
    ["took", took],
    ["lines", [calls.called[call], calls.returned[call]].filter(Boolean).join(", ")],
  ];
  return [
    make("h3", {}, `${words[calls.name[call]]} by ${words[calls.lane[call]]}`),
    pairs(rows),
    closeLink(),
  ];
}

function faultDetails(fault) {
  const settings = Object.entries(fault.settings).map(([name, value]) => `${name} ${value}`).join(", ");
  const rows = [
    ["on", fault.target],
    ["settings", settings],
    ["began", moment(fault.start)],
    ["healed", fault.end === null ? "never" : `${moment(fault.end)}, after ${lasting(fault.end - fault.start)}`],
    ["evidence", fault.effects.join("; ") || "nothing shows that it took effect"],
    ["meanwhile", `${counted(underWay(calls, fault), "call")} and ${counted(underWay(attempts, fault), "attempt")} under way`],
    ["lines", fault.lines.join(", ")],
  ];
  return [make("h3", {}, dot(fault.colour), `Fault ${fault.name}`), pairs(rows), closeLink()];
}

// Of calls or attempts: how many the fault may have met.
function underWay(bars, fault) {
  let many = 0;
  bars.begin.forEach((begin, i) => (many += begin <= endOfFault(fault) && bars.end[i] >= fault.start));
  return many;
}

function laneDetails(lane, index) {
  const pod = story.environment.pods.find((one) => one.name === lane.name);
  const facts = [lane.type, pod && `pid ${pod.pid}`, pod?.address, pod && `at the end: ${pod.state}`].filter(Boolean);
  const lives = lane.lives.map((life) => [
    number(life.begin.toFixed(3)), number(life.end === null ? "–" : life.end.toFixed(3)),
    { shown: life.holder.slice(0, 8), class: "mono" }, life.how || "lives",
  ]);
  const leads = lane.leads.map((one) => [number(one.term), number(one.begin.toFixed(3)), number(one.end === null ? "–" : one.end.toFixed(3))]);
  return [
    make("h3", {}, lane.name),
    make("p", { class: "muted" }, facts.join(" · ")),
    ...(lives.length ? [make("p", {}, "Incarnations"), table(["joined", "gone", "holder", "how"], lives)] : []),
    ...(leads.length ? [make("p", {}, "Led"), table(["term", "from", "to"], leads)] : []),
    ...outcomesOf(index),
    closeLink(),
  ];
}

function outcomesOf(index) {
  const counts = HOWS.map(() => 0);
  barsOfLanes[index].forEach((row) => row.how.forEach((how) => counts[how]++));
  const client = story.lanes[index].type === "client";
  const told = client ? CALL_WORDS : HOWS.map((how) => HOW_WORDS[how]);
  const places = client ? CALL_HOWS.map((how) => HOWS.indexOf(how)) : HOWS.map((_, how) => how);
  const rows = places.map((how, i) => [{ shown: make("span", {}, dot(colours[HOWS[how]]), told[i]) }, number(counts[how])]);
  const some = rows.filter((_, i) => counts[places[i]]);
  return some.length ? [make("p", {}, client ? "Calls" : "Attempts"), table(["", ""], some)] : [];
}

const closeLink = () => make("p", {}, link("Show faults and steps of note", () => choose(null)));

// Nothing is chosen: what is worth a look.
function restDetails() {
  const faults = story.faults.map((fault, index) => [
    number(fault.start.toFixed(2)),
    { shown: link(fault.name, () => choose({ fault: index }, true)) },
    fault.target,
    number(fault.end === null ? "not healed" : lasting(fault.end - fault.start)),
  ]);
  const told = faults.length
    ? [make("h3", {}, counted(faults.length, "fault")), table(["at", "fault", "on", "for"], faults)]
    : [make("p", { class: "muted" }, "No faults were injected.")];
  return [...told, ...notes(), ...stepsOfNote()];
}

// What tests and faults remarked, such as why one could not heal.
function notes() {
  if (!story.notes.length) return [];
  const about = (one) => Object.entries(one.about).map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
  const rows = story.notes.slice(0, 100).map((one) => [number(one.line), one.text, about(one)]);
  return [make("h3", {}, counted(story.notes.length, "note")), table([{ shown: "line", class: "number" }, "note", ""], rows)];
}

function stepsOfNote() {
  const MOST = 100;
  const worst = new Map(), many = new Map();
  attempts.step.forEach((step, i) => {
    worst.set(step, Math.max(worst.get(step) ?? 0, attempts.how[i]));
    many.set(step, (many.get(step) ?? 0) + 1);
  });
  const odd = [...worst].filter(([step, how]) => how > 0 || many.get(step) > 1);
  odd.sort((a, b) => b[1] - a[1] || many.get(b[0]) - many.get(a[0]));
  if (!odd.length) return [];
  const rows = odd.slice(0, MOST).map(([step, how]) => [
    { shown: link(`step ${steps.ids[step]}`, () => choose({ step }, true)) },
    { shown: make("span", {}, dot(colours[HOWS[how]]), HOW_WORDS[HOWS[how]]) },
    number(many.get(step)),
  ]);
  const more = odd.length > MOST ? [make("p", { class: "muted" }, `and ${odd.length - MOST} more`)] : [];
  const head = make("h3", {}, `${counted(odd.length, "step")} did not go straight`);
  return [head, table(["step", "worst attempt", { shown: "attempts", class: "number" }], rows), ...more];
}
