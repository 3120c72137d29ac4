// Pointer, wheel and keys on the timeline.

const pointers = new Map();
let dragged = false;

function steer(canvas, leftOf) {
  const timeAt = (event) => scaleOf(leftOf(), canvas.clientWidth - 1).time(event.offsetX);
  const perPixel = () => span.length / (canvas.clientWidth - leftOf());
  canvas.addEventListener("wheel", (event) => {
    // A plain wheel goes on scrolling the page; a pinch on a touchpad comes as one with Ctrl.
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      span.zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.01), timeAt(event));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      span.move((event.deltaX || event.deltaY) * perPixel());
    }
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event.offsetX);
    dragged = false;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    span.point(event.offsetX >= leftOf() ? timeAt(event) : null);
    const before = pointers.get(event.pointerId);
    if (before === undefined || (!dragged && Math.abs(event.offsetX - before) < 4)) return;
    dragged = true;
    canvas.classList.add("dragging");
    if (pointers.size === 2) pinch(event, leftOf(), canvas);
    else span.move((before - event.offsetX) * perPixel());
    pointers.set(event.pointerId, event.offsetX);
  });
  const lift = (event) => {
    pointers.delete(event.pointerId);
    canvas.classList.remove("dragging");
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => span.point(null));
  canvas.addEventListener("dblclick", (event) => span.zoom(0.4, timeAt(event)));
}

function pinch(event, left, canvas) {
  const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
  const before = Math.abs(pointers.get(event.pointerId) - other), now = Math.abs(event.offsetX - other);
  if (before > 8 && now > 8) span.zoom(before / now, scaleOf(left, canvas.clientWidth - 1).time(other));
}

function steerTimeline() {
  const { canvas } = timeline;
  steer(canvas, () => timeline.layout.left);
  const at = (event) => found(timeline.layout, timeline.scale, event.offsetX, event.offsetY);
  canvas.addEventListener("pointermove", (event) => {
    const here = pointers.size ? null : at(event);
    showTip(event, here && tipOf(here));
  });
  canvas.addEventListener("pointerleave", () => showTip(null));
  canvas.addEventListener("click", (event) => {
    if (dragged) return;
    const here = at(event);
    choose(here && !here.empty ? asChoice(here) : null);
  });
  canvas.addEventListener("keydown", (event) => {
    const action = KEYS[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
}

const KEYS = {
  ArrowLeft: () => span.move(-span.length / 5),
  ArrowRight: () => span.move(span.length / 5),
  "+": () => span.zoom(0.6),
  "=": () => span.zoom(0.6),
  "-": () => span.zoom(1 / 0.6),
  0: () => span.all(),
  Home: () => span.all(),
  ArrowUp: () => chooseLane(-1),
  ArrowDown: () => chooseLane(1),
  n: () => chooseNext(1),
  p: () => chooseNext(-1),
  Enter: () => chooseNext(1),
  Escape: () => choose(null),
};

const asChoice = (here) =>
  here.fault !== undefined ? { fault: here.fault } : here.bar !== undefined ? choiceOfBar(here.bar) : { lane: here.lane };
const choiceOfBar = (bar) =>
  isCall(bar) ? { call: callOf(bar) } : { step: attempts.step[bar], bar };

function chooseLane(by) {
  const many = story.lanes.length;
  timeline.lane = timeline.lane < 0 ? (by > 0 ? 0 : many - 1) : (timeline.lane + by + many) % many;
  choose({ lane: timeline.lane });
}

// The next bar of the lane, in time; the first one that is shown to begin with.
function chooseNext(by) {
  if (timeline.lane < 0) timeline.lane = 0;
  const bars = barsOfLanes[timeline.lane].flatMap((row) => [...row.bars]).sort((a, b) => beginOf(a) - beginOf(b));
  if (!bars.length) return;
  const now = bars.indexOf(chosenBars().find((bar) => bars.includes(bar) && bar === (selection?.bar ?? bar)));
  const begin = bars.findIndex((bar) => beginOf(bar) >= span.from);
  const bar = bars[now < 0 ? Math.max(begin, 0) : Math.min(Math.max(now + by, 0), bars.length - 1)];
  choose(choiceOfBar(bar));
  if (beginOf(bar) < span.from || endOf(bar) > span.to) {
    const middle = (beginOf(bar) + endOf(bar)) / 2;
    span.show(middle - span.length / 2, middle + span.length / 2);
  }
}

function tipOf(here) {
  if (here.fault !== undefined) return aboutFault(story.faults[here.fault]);
  if (here.leads) return `${story.lanes[here.lane].name} leads, term ${here.leads.term}\nfrom ${moment(here.leads.begin)}`;
  if (here.bar === undefined) return here.empty ? null : story.lanes[here.lane].name;
  const took = lasting(endOf(here.bar) - beginOf(here.bar));
  if (isCall(here.bar)) {
    const call = callOf(here.bar);
    return `${words[calls.name[call]]}: ${CALL_WORDS[calls.outcome[call]]}\n${words[calls.asked[call]]}\n${moment(beginOf(here.bar))}, took ${took}`;
  }
  const step = attempts.step[here.bar];
  return `step ${steps.ids[step]} on ${story.lanes[here.lane].name}: ${HOW_WORDS[HOWS[howOf(here.bar)]]}\n${moment(beginOf(here.bar))}, took ${took}`;
}

function aboutFault(fault) {
  const lasted = fault.end === null ? "never healed" : `for ${lasting(fault.end - fault.start)}`;
  return `${fault.name} on ${fault.target}, ${lasted}\n${moment(fault.start)}\n${fault.effects.join("\n") || "nothing shows that it took effect"}`;
}

function showTip(event, text) {
  const tip = byId("tip");
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const { offsetWidth: wide, offsetHeight: high } = tip;
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - wide - 8)}px`;
  tip.style.top = `${event.clientY + 18 + high > innerHeight ? event.clientY - high - 10 : event.clientY + 18}px`;
}
