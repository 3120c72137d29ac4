// The whole run in one strip: how much ended when, and which part is shown below.

const overview = { canvas: byId("overview"), counts: null, width: 0 };

function drawOverview() {
  const { canvas } = overview;
  const { pen, width, height } = prepared(canvas, 46);
  const left = gutterOf(width), right = width - 1, wide = right - left;
  pen.fillStyle = colours.lane;
  pen.fillRect(left, 0, wide, height);
  const x = (seconds) => left + (seconds / END) * wide;
  for (const fault of story.faults) {
    pen.globalAlpha = 0.3;
    pen.fillStyle = fault.colour;
    pen.fillRect(x(fault.start), 0, Math.max(x(endOfFault(fault)) - x(fault.start), 1), height);
  }
  pen.globalAlpha = 1;
  drawCounts(pen, left, Math.floor(wide), height);
  const from = x(span.from), to = x(span.to);
  pen.fillStyle = colours.card;
  pen.globalAlpha = 0.65;
  pen.fillRect(left, 0, from - left, height);
  pen.fillRect(to, 0, right - to, height);
  pen.globalAlpha = 1;
  pen.strokeStyle = colours.accent;
  pen.strokeRect(from + 0.5, 0.5, Math.max(to - from - 1, 2), height - 1);
  pen.fillStyle = colours.muted;
  pen.textAlign = "left";
  pen.font = `11px ${colours.font}`;
  pen.fillText(fitted(pen, "whole run", left - 12), 6, 15);
  pen.fillText(fitted(pen, lasting(END), left - 12), 6, 31);
}

function drawCounts(pen, left, wide, height) {
  if (overview.width !== wide) Object.assign(overview, { counts: countedByPixel(wide), width: wide });
  const { counts } = overview;
  const most = Math.max(1, ...counts.map((row) => row.reduce((a, b) => a + b, 0)));
  counts.forEach((row, pixel) => {
    let y = height - 2;
    row.forEach((many, how) => {
      if (!many) return;
      const high = Math.max((many / most) * (height - 6), how > 1 ? 2 : 1);
      pen.fillStyle = colours[HOWS[how]];
      pen.fillRect(left + pixel * 2, y - high, 1.6, high);
      y -= high;
    });
  });
}

// What ended, in each two pixels; calls where the run has no attempts.
function countedByPixel(wide) {
  const counts = Array.from({ length: Math.ceil(wide / 2) }, () => HOWS.map(() => 0));
  const note = (end, how) => counts[Math.min(Math.floor((end / END) * counts.length), counts.length - 1)][how]++;
  if (attempts.step.length) attempts.end.forEach((end, i) => note(end, attempts.how[i]));
  else calls.end.forEach((end, i) => note(end, HOWS.indexOf(CALL_HOWS[calls.outcome[i]])));
  return counts;
}

function steerOverview() {
  const { canvas } = overview;
  let began = null;
  const timeAt = (event) => {
    const left = gutterOf(canvas.clientWidth);
    return ((event.offsetX - left) / (canvas.clientWidth - 1 - left)) * END;
  };
  canvas.addEventListener("pointerdown", (event) => {
    began = timeAt(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = timeAt(event);
    if (began !== null && Math.abs(now - began) > END / 200) span.show(Math.min(began, now), Math.max(began, now));
  });
  canvas.addEventListener("pointerup", (event) => {
    const now = timeAt(event);
    if (began !== null && Math.abs(now - began) <= END / 200) span.show(now - span.length / 2, now + span.length / 2);
    began = null;
  });
}
