// Budgets with their margins, operations, and curves over the time that the timeline shows.

const charts = [];

function showMeasures() {
  const told = story.measurements;
  if (!told) return;
  const place = byId("measures");
  place.hidden = false;
  if (told.budgets.length) place.append(make("h2", {}, "Budgets"), budgetTable(told.budgets));
  if (told.operations.length) place.append(make("h2", {}, "Operations"), operationTable(told.operations));
  if (told.series.length) place.append(make("h2", {}, "Over time"), make("div", { class: "charts" }, grouped(told.series).map(chart)));
}

function budgetTable(budgets) {
  const rows = budgets.map((one) => [
    { shown: make("span", { class: `tag ${one.verdict}` }, one.verdict) },
    { shown: one.expression, class: "mono" },
    number(measured(one.measured, one.unit)),
    number(measured(one.limit, one.unit)),
    { shown: meter(one) },
    [one.margin === null ? "" : one.margin >= 1 ? `${measured(one.margin)} times better` : "broken", one.note].filter(Boolean).join(" · "),
  ]);
  return table(["", "budget", { shown: "measured", class: "number" }, { shown: "limit", class: "number" }, "used", ""], rows);
}

// How much of a budget is used up; full where it is broken.
function meter(budget) {
  const bar = make("i", { colour: `var(--${{ pass: "good", fail: "bad", unknown: "doubt" }[budget.verdict]})` });
  const used = budget.margin === null ? 0 : Math.min(1, 1 / Math.max(budget.margin, 1e-9));
  bar.style.width = `${Math.max(used * 100, budget.margin === null ? 0 : 1)}%`;
  return make("div", { class: "meter", role: "img", "aria-label": `${Math.round(used * 100)} % of the budget is used` }, bar);
}

function operationTable(operations) {
  const points = [...new Set(operations.flatMap((one) => Object.keys(one.latency)))];
  const rows = operations.map((one) => [
    one.name, one.phase, number(one.count.toLocaleString("en")), number(one.errors), number(measured(one.rate, "/s")),
    ...points.map((point) => number(measured(one.latency[point], "ms"))),
  ]);
  const right = (shown) => ({ shown, class: "number" });
  return table(["operation", "phase", ...["count", "errors", "rate", ...points].map(right)], rows);
}

// Series of pods by name, others by unit.
function grouped(series) {
  const groups = new Map();
  for (const one of series) {
    const key = one.pod === null ? `${one.unit}` : `${one.name}\t${one.unit}\tpods`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(one);
  }
  return [...groups.values()];
}

// A pod that was started again has two curves under one name.
const nameOf = (one) => one.pod ?? one.name;
const namesOf = (series) => [...new Set(series.map(nameOf))];

function chart(series) {
  const { unit } = series[0];
  const ofPods = series[0].pod !== null;
  const names = namesOf(series);
  const title = ofPods ? `${series[0].name} of each pod` : names.join(", ");
  const canvas = make("canvas", { role: "img", "aria-label": `${title}, ${unit}` });
  const keys = names.map((name, i) => make("span", {}, make("i", { class: "dot", colour: `var(--${CURVES[i % CURVES.length]})` }), name));
  charts.push({ canvas, series, unit });
  return make("figure", { class: "chart" }, make("h3", {}, unit ? `${title} (${unit})` : title), canvas, make("figcaption", { class: "curves" }, keys));
}

const CURVES = ["completed", "failed", "crashed", "open", "dead", "leader", "released"];

function drawChart({ canvas, series, unit }) {
  const { pen, width, height } = prepared(canvas, 150);
  const left = 58, right = width - 2, top = 6, bottom = height - 20;
  const scale = scaleOf(left, right);
  drawAxis(pen, scale, left, right, bottom, height);
  drawBands(pen, scale, left, right, top, bottom, 0.2);
  const most = highest(series), y = (value) => bottom - (value / most) * (bottom - top);
  drawLevels(pen, most, y, left, right, unit);
  pen.save();
  pen.beginPath();
  pen.rect(left, 0, right - left, height);
  pen.clip();
  const names = namesOf(series);
  series.forEach((one) => drawCurve(pen, one.points, scale.x, y, colours.curves[names.indexOf(nameOf(one)) % colours.curves.length]));
  drawCursor(pen, scale, left, right, top, bottom);
  pen.restore();
  if (span.cursor !== null) drawValues(pen, series, scale, right);
}

function highest(series) {
  let most = 0;
  for (const one of series) for (const [, value] of one.points) most = Math.max(most, value);
  return most * 1.15 || 1;
}

function drawLevels(pen, most, y, left, right, unit) {
  const step = roundStep(most / 3);
  pen.textAlign = "right";
  for (let level = 0; level <= most; level += step) {
    pen.strokeStyle = colours.line;
    line(pen, left, Math.round(y(level)) + 0.5, right, Math.round(y(level)) + 0.5);
    pen.fillStyle = colours.muted;
    pen.fillText(measured(level, unit.length < 3 ? unit : ""), left - 6, Math.min(Math.max(y(level), 8), y(0) - 5));
  }
  pen.textAlign = "left";
}

function drawCurve(pen, points, x, y, colour) {
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.beginPath();
  points.forEach(([at, value]) => pen.lineTo(x(at), y(value)));
  pen.stroke();
  pen.lineWidth = 1;
}

// What each curve says where the pointer is.
function drawValues(pen, series, scale, right) {
  const told = series.map((one) => {
    const after = one.points.findIndex(([at]) => at >= span.cursor);
    return after > 0 ? `${nameOf(one)} ${measured(one.points[after - 1][1])}` : "";
  }).filter(Boolean).join("   ");
  const text = fitted(pen, told, right - 80), wide = pen.measureText(text).width;
  pen.fillStyle = colours.card;
  pen.globalAlpha = 0.8;
  pen.fillRect(right - wide - 10, 5, wide + 10, 18);
  pen.globalAlpha = 1;
  pen.textAlign = "right";
  pen.fillStyle = colours.text;
  pen.fillText(text, right - 4, 14);
  pen.textAlign = "left";
}
