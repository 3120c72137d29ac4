// Where everything stands in the timeline: the ruler, the faults, a lane for each pod and client.

const RULER = 22, FAULT_ROW = 19, STRIP = 6;

const faultRows = packedFaults();

function packedFaults() {
  const ends = [], MOST = 8;
  return story.faults.map((fault, index) => {
    let row = ends.findIndex((end) => end <= fault.start);
    if (row < 0) row = ends.length < MOST ? ends.length : index % MOST;
    ends[row] = Math.max(ends[row] ?? 0, endOfFault(fault));
    return row;
  });
}

function laidOut(width) {
  const left = gutterOf(width), right = width - 1;
  const faultTop = RULER + 2;
  let top = faultTop + (story.faults.length ? (Math.max(...faultRows) + 1) * FAULT_ROW + 6 : 0);
  const lanes = story.lanes.map((lane, index) => {
    const rows = Math.max(barsOfLanes[index].length, 1);
    const high = rowHeight(rows);
    const strip = lane.type === "client" ? 0 : STRIP;
    const place = { index, lane, top, strip, high, rows, body: top + 4 + strip, bottom: top + strip + rows * high + 10 };
    place.bottom = Math.max(place.bottom, top + (story.lanes.length > 20 ? 20 : 40));
    top = place.bottom + 3;
    return place;
  });
  return { left, right, faultTop, lanes, height: top + 2 };
}

function rowHeight(rows) {
  const room = Math.min(96, Math.max(16, 480 / story.lanes.length));
  return Math.max(story.lanes.length > 20 ? 1.5 : 3, Math.min(12, Math.floor(room / rows)));
}

const rowTop = (place, row) => place.body + row * place.high;

// What is at a point of the canvas.
function found(layout, scale, x, y) {
  if (x < layout.left) {
    const place = layout.lanes.find((one) => y >= one.top && y < one.bottom);
    return place ? { lane: place.index } : null;
  }
  const fault = faultAt(layout, scale, x, y);
  if (fault >= 0) return { fault };
  const place = layout.lanes.find((one) => y >= one.top && y < one.bottom);
  if (!place) return null;
  const leads = y < place.body - 2 ? leadsAt(place.lane, scale.time(x)) : undefined;
  if (leads) return { lane: place.index, leads };
  const bar = barAt(place, scale, x, y);
  return bar === undefined ? { lane: place.index, empty: true } : { bar, lane: place.index };
}

const leadsAt = (lane, time) => lane.leads.find((one) => one.begin <= time && time <= (one.end ?? END));

function faultAt(layout, scale, x, y) {
  const row = Math.floor((y - layout.faultTop) / FAULT_ROW);
  return story.faults.findLastIndex((fault, index) =>
    faultRows[index] === row && x >= scale.x(fault.start) - 3 && x <= Math.max(scale.x(endOfFault(fault)), scale.x(fault.start) + 4) + 3);
}

function barAt(place, scale, x, y) {
  const rows = barsOfLanes[place.index];
  const near = Math.min(Math.max(Math.floor((y - place.body) / place.high), 0), rows.length - 1);
  // Thin rows are hard to hit: their neighbours count too, the nearest first.
  for (const row of [near, near - 1, near + 1]) {
    const bar = rows[row] && barInRow(rows[row], scale, x);
    if (bar !== undefined && (row === near || place.high < 8)) return bar;
  }
  return undefined;
}

function barInRow(row, scale, x) {
  const time = scale.time(x), slack = 3 / scale.perSecond;
  const after = firstAbove(row.begin, time + slack);
  for (let i = after - 1; i >= Math.max(0, after - 3); i--) {
    if (row.end[i] >= time - slack) return row.bars[i];
  }
  return undefined;
}
