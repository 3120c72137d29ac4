// Draws the timeline. However many bars there are, each row puts at most one into a pixel.

const timeline = { canvas: byId("lanes"), layout: null, scale: null, lane: -1 };

function drawTimeline() {
  const { canvas } = timeline;
  const layout = (timeline.layout = laidOut(canvas.clientWidth));
  const { pen, height } = prepared(canvas, layout.height);
  const { left, right } = layout;
  const scale = (timeline.scale = scaleOf(left, right));
  layout.lanes.forEach((place) => drawGround(pen, place, layout, scale));
  drawAxis(pen, scale, left, right, 0, height);
  pen.save();
  pen.beginPath();
  pen.rect(left, 0, right - left, height);
  pen.clip();
  drawFaults(pen, layout, scale, height);
  layout.lanes.forEach((place) => drawLane(pen, place, scale));
  drawPhases(pen, scale, height);
  drawChosen(pen, layout, scale);
  drawCursor(pen, scale, left, right, 0, height);
  pen.restore();
}

function drawGround(pen, place, layout, scale) {
  const { left, right } = layout, { lane, top, bottom, index } = place;
  pen.fillStyle = colours.lane;
  pen.fillRect(left, top, right - left, bottom - top);
  if (lane.lives.length) drawAbsence(pen, place, layout, scale);
  if (index === timeline.lane) {
    pen.fillStyle = colours.soft;
    pen.fillRect(0, top, left - 4, bottom - top);
  }
  pen.textAlign = "left";
  pen.fillStyle = colours.text;
  pen.font = `600 12.5px ${colours.font}`;
  pen.fillText(fitted(pen, lane.name, left - 14), 6, top + Math.min(13, (bottom - top) / 2));
  pen.font = `11px ${colours.font}`;
  pen.fillStyle = colours.muted;
  if (bottom - top >= 34) pen.fillText(fitted(pen, aboutLane(index, left), left - 14), 6, top + 29);
  pen.font = `12px ${colours.font}`;
}

function aboutLane(index, left) {
  const many = barsOfLanes[index].reduce((sum, row) => sum + row.bars.length, 0);
  const lane = story.lanes[index];
  if (!many) return lane.type;
  if (left < 100) return many.toLocaleString("en");
  return counted(many, lane.type === "client" ? "call" : "attempt");
}

// Where no incarnation of the pod was known to the fleet.
function drawAbsence(pen, place, { left, right }, scale) {
  pen.fillStyle = colours.gone;
  let from = 0;
  const gap = (begin, end) => {
    const x1 = Math.max(scale.x(begin), left), x2 = Math.min(scale.x(end), right);
    if (x2 > x1) pen.fillRect(x1, place.top, x2 - x1, place.bottom - place.top);
  };
  for (const life of place.lane.lives) {
    if (life.begin > from) gap(from, life.begin);
    from = Math.max(from, life.end ?? END);
  }
  gap(from, END);
}

function drawFaults(pen, layout, scale, height) {
  const bottom = layout.lanes.at(-1)?.bottom ?? height;
  drawBands(pen, scale, layout.left, layout.right, layout.faultTop, bottom, 0.09);
  for (const { lane, top, bottom: end } of layout.lanes) {
    const own = story.faults.filter((fault) => fault.targets.includes(lane.name));
    drawBands(pen, scale, layout.left, layout.right, top, end, 0.2, own);
  }
  pen.textAlign = "left";
  story.faults.forEach((fault, index) => {
    const x = Math.max(scale.x(fault.start), layout.left), end = Math.min(scale.x(endOfFault(fault)), layout.right);
    if (end < layout.left || x > layout.right) return;
    const y = layout.faultTop + faultRows[index] * FAULT_ROW, wide = Math.max(end - x, 3);
    pen.fillStyle = fault.colour;
    pen.fillRect(x, y, wide, FAULT_ROW - 3);
    pen.fillStyle = fault.ink;
    if (wide > 30) pen.fillText(fitted(pen, `${fault.name} · ${fault.target}`, wide - 8), x + 4, y + 8.5);
    if (isChosen({ fault: index })) outline(pen, x, y, wide, FAULT_ROW - 3);
  });
}

function drawLane(pen, place, scale) {
  for (const leads of place.lane.leads) {
    const x = scale.x(leads.begin), wide = Math.max(scale.x(leads.end ?? END) - x, 2);
    pen.fillStyle = colours.leader;
    pen.fillRect(x, place.top + 1, wide, STRIP - 1);
  }
  pen.globalAlpha = chosenStep() >= 0 ? 0.35 : 1;
  const faded = pen.globalAlpha;
  barsOfLanes[place.index].forEach((row, number) => drawRow(pen, place, row, rowTop(place, number), scale, faded));
  pen.globalAlpha = 1;
}

function drawRow(pen, place, row, y, scale, faded) {
  const high = Math.max(place.high - (place.high > 4 ? 1.5 : 0.5), 1);
  let pixel = -1, cover = 0, worst = 0;
  const flush = () => {
    if (pixel < 0) return;
    pen.globalAlpha = faded * Math.min(1, 0.35 + cover);
    pen.fillStyle = colours[HOWS[worst]];
    pen.fillRect(pixel, y, 1, high);
    pen.globalAlpha = faded;
    pixel = -1;
  };
  for (let i = Math.max(0, firstAbove(row.end, span.from) - 1); i < row.begin.length && row.begin[i] <= span.to; i++) {
    const x = scale.x(row.begin[i]), wide = (row.end[i] - row.begin[i]) * scale.perSecond;
    if (wide >= 2) {
      flush();
      pen.fillStyle = colours[HOWS[row.how[i]]];
      pen.fillRect(x, y, wide > 3 ? wide - 0.75 : wide, high);
      if (wide > 40 && high >= 9) label(pen, row.bars[i], x, y + high / 2, wide);
      continue;
    }
    if (Math.floor(x) !== pixel) {
      flush();
      [pixel, cover, worst] = [Math.floor(x), 0, 0];
    }
    cover += Math.max(wide, 0.15);
    worst = Math.max(worst, row.how[i]);
  }
  flush();
}

function label(pen, bar, x, y, wide) {
  const text = isCall(bar) ? words[calls.name[callOf(bar)]] : `step ${steps.ids[attempts.step[bar]]}`;
  const from = Math.max(x, timeline.layout.left);
  pen.font = `10px ${colours.font}`;
  pen.fillStyle = "#fff";
  pen.fillText(fitted(pen, text, x + wide - from - 8), from + 4, y + 0.5);
  pen.font = `12px ${colours.font}`;
}

function drawPhases(pen, scale, height) {
  pen.setLineDash([3, 3]);
  for (const phase of story.phases) {
    const x = Math.round(scale.x(phase.start)) + 0.5;
    pen.strokeStyle = colours.muted;
    line(pen, x, RULER, x, height);
    pen.fillStyle = colours.muted;
    pen.fillText(phase.name, x + 4, height - 8);
  }
  pen.setLineDash([]);
}

// The chosen step's attempts, also where they are thinner than a pixel.
function drawChosen(pen, layout, scale) {
  for (const bar of chosenBars()) {
    const index = isCall(bar) ? laneOfWord[calls.lane[callOf(bar)]] : attempts.lane[bar];
    const place = layout.lanes[index];
    if (!place) continue;
    const row = barsOfLanes[index].findIndex((one) => one.bars.includes(bar));
    const x = scale.x(beginOf(bar)), wide = Math.max(scale.x(endOf(bar)) - x, 3), y = rowTop(place, row);
    pen.fillStyle = colours[HOWS[howOf(bar)]];
    pen.fillRect(x, y, wide, Math.max(place.high - 1, 3));
    outline(pen, x, y, wide, Math.max(place.high - 1, 3));
  }
}

function outline(pen, x, y, wide, high) {
  pen.strokeStyle = colours.text;
  pen.lineWidth = 2;
  pen.strokeRect(x - 1, y - 1, wide + 2, high + 2);
  pen.lineWidth = 1;
}
