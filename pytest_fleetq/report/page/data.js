// The story as arrays: columns of differences become times and lines, entries become attempts.

const story = JSON.parse(byId("story").textContent);
const words = story.words;
const END = Math.max(story.end || 0, 0.001);

const HOWS = ["completed", "released", "open", "failed", "crashed", "dead"]; // the worse the later
const HOW_WORDS = {
  completed: "completed", failed: "failed, retried", dead: "failed for good",
  crashed: "holder died", released: "released", open: "never ended",
};
const CALL_HOWS = ["completed", "dead", "failed"];
const CALL_WORDS = ["ok", "failed: it had no effect", "unknown outcome"];
const CALL_LEGEND = ["call ok", "call failed", "call of unknown outcome"];

const laneOf = new Map(story.lanes.map((lane, index) => [lane.name, index]));
const laneOfWord = words.map((word) => laneOf.get(word) ?? -1);

const steps = readSteps(story.steps);
const calls = readCalls(story.calls);
const attempts = readAttempts();
const barsOfLanes = barsByLane();

function readSteps(told) {
  const count = told.ids.length;
  const first = new Uint32Array(count + 1);
  for (let i = 0; i < count; i++) first[i + 1] = first[i] + told.entries[i];
  const at = new Float64Array(told.at.length), line = new Uint32Array(told.at.length);
  for (let i = 0; i < count; i++) {
    let time = 0, row = 0;
    for (let j = first[i]; j < first[i + 1]; j++) {
      at[j] = (time += told.at[j]) / 1e6;
      line[j] = row += told.line[j];
    }
  }
  const places = new Map(told.ids.map((id, index) => [String(id), index]));
  const of = (part) => (entry) => words[told.codes[told.code[entry]][part]];
  return { ...told, count, first, at, line, places, text: of(0), who: of(1), mark: of(2) };
}

function readCalls(told) {
  const count = told.start.length;
  const begin = new Float64Array(count), end = new Float64Array(count);
  const called = new Uint32Array(count), returned = new Uint32Array(count);
  const places = new Map();
  let start = 0, line = 0;
  for (let i = 0; i < count; i++) {
    start += told.start[i];
    begin[i] = start / 1e6;
    end[i] = told.took[i] < 0 ? END : (start + told.took[i]) / 1e6;
    called[i] = line += told.called[i];
    returned[i] = told.returned[i] ? line + told.returned[i] : 0;
    places.set(called[i], i);
    if (returned[i]) places.set(returned[i], i);
  }
  return { ...told, count, begin, end, called, returned, places };
}

function readAttempts() {
  const found = { step: [], lane: [], begin: [], end: [], how: [] };
  const add = (step, entry, end, how) => {
    found.step.push(step);
    found.lane.push(laneOf.get(steps.who(entry)) ?? -1);
    found.begin.push(steps.at[entry]);
    found.end.push(Math.max(end, steps.at[entry]));
    found.how.push(HOWS.indexOf(how));
  };
  for (let i = 0; i < steps.count; i++) {
    // Usually one; two where a rule was broken, and that must be seen.
    const open = [];
    for (let j = steps.first[i]; j < steps.first[i + 1]; j++) {
      const mark = steps.mark(j);
      if (mark === "opens") open.push(j);
      else if (mark && open.length) {
        const own = open.findIndex((entry) => steps.who(entry) === steps.who(j));
        const [begun] = open.splice(own < 0 ? open.length - 1 : own, 1);
        add(i, begun, steps.at[j], mark);
      }
    }
    open.forEach((entry) => add(i, entry, END, "open"));
  }
  return found;
}

// Bars of each lane in rows that do not overlap; those of pods are attempts, those of clients calls.
function barsByLane() {
  const lists = story.lanes.map(() => []);
  attempts.step.forEach((_, i) => attempts.lane[i] >= 0 && lists[attempts.lane[i]].push(i));
  const many = attempts.step.length;
  for (let i = 0; i < calls.count; i++) lists[laneOfWord[calls.lane[i]]]?.push(many + i);
  return lists.map(inRows);
}

// A bar is a number: attempts first, then calls.
function isCall(bar) {
  return bar >= attempts.step.length;
}
function callOf(bar) {
  return bar - attempts.step.length;
}
function beginOf(bar) {
  return isCall(bar) ? calls.begin[callOf(bar)] : attempts.begin[bar];
}
function endOf(bar) {
  return isCall(bar) ? calls.end[callOf(bar)] : attempts.end[bar];
}
function howOf(bar) {
  return isCall(bar) ? HOWS.indexOf(CALL_HOWS[calls.outcome[callOf(bar)]]) : attempts.how[bar];
}

function inRows(bars) {
  const MOST = 24;
  bars.sort((a, b) => beginOf(a) - beginOf(b));
  const rows = [], ends = [];
  bars.forEach((bar, index) => {
    const begin = beginOf(bar);
    let row = ends.findIndex((end) => end <= begin);
    if (row < 0) row = ends.length < MOST ? ends.length : index % MOST;
    (rows[row] ??= []).push(bar);
    ends[row] = Math.max(ends[row] ?? 0, endOf(bar));
  });
  return rows.map((row) => ({
    bars: Uint32Array.from(row),
    begin: Float64Array.from(row, beginOf),
    end: Float64Array.from(row, endOf),
    how: Uint8Array.from(row, howOf),
  }));
}

// The first place whose value is above a limit.
function firstAbove(values, limit) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

function barsOfStep(step) {
  const found = [];
  attempts.step.forEach((one, index) => one === step && found.push(index));
  return found;
}

const callOfLine = (line) => calls.places.get(line);
function stepOfLine(line) {
  const entry = steps.line.indexOf(line);
  return entry < 0 ? undefined : { step: firstAbove(steps.first, entry) - 1, entry };
}
