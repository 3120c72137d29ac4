// What all pictures share: sharp canvases, colours of the theme, a time axis, bands of faults.

let colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["text", "muted", "line", "card", "soft", "accent", "lane", "gone", "leader", ...HOWS];
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  colours.curves = [colours.completed, colours.failed, colours.crashed, colours.open, colours.dead, colours.leader, colours.released];
  colours.font = style.getPropertyValue("--sans");
}

function prepared(canvas, height) {
  const width = canvas.clientWidth, scale = devicePixelRatio || 1;
  if (canvas.style.height !== `${height}px`) canvas.style.height = `${height}px`;
  const wide = Math.round(width * scale), high = Math.round(height * scale);
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = `12px ${colours.font}`;
  pen.textBaseline = "middle";
  return { pen, width, height };
}

const gutterOf = (width) => (width < 620 ? 76 : 132);

function scaleOf(left, right) {
  const perSecond = (right - left) / span.length;
  return {
    x: (seconds) => left + (seconds - span.from) * perSecond,
    time: (x) => span.from + (x - left) / perSecond,
    perSecond,
  };
}

function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= least * 0.999);
}

function drawAxis(pen, scale, left, right, top, bottom) {
  const step = roundStep((90 / (right - left)) * span.length);
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  const inMillis = step < 0.001;
  pen.textAlign = "left";
  for (let n = Math.ceil(span.from / step); n * step <= span.to; n++) {
    const x = Math.round(scale.x(n * step)) + 0.5;
    pen.strokeStyle = colours.line;
    line(pen, x, top, x, bottom);
    pen.fillStyle = colours.muted;
    const text = inMillis ? `${(n * step * 1e3).toFixed(Math.max(0, digits - 3))} ms` : `${(n * step).toFixed(digits)} s`;
    if (x + pen.measureText(text).width + 4 < right) pen.fillText(text, x + 4, top + 9);
  }
}

// Of text on a ground of this colour.
function onColour(colour) {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = colour;
  probe.fillRect(0, 0, 1, 1);
  const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data;
  return red * 0.3 + green * 0.59 + blue * 0.11 > 135 ? "#161616" : "#fff";
}

story.faults.forEach((fault) => (fault.ink = onColour(fault.colour)));

function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

const endOfFault = (fault) => fault.end ?? END;

function drawBands(pen, scale, left, right, top, bottom, alpha, chosen = story.faults) {
  for (const fault of chosen) {
    const from = Math.max(scale.x(fault.start), left), to = Math.min(scale.x(endOfFault(fault)), right);
    if (to < left || from > right) continue;
    pen.globalAlpha = alpha;
    pen.fillStyle = fault.colour;
    pen.fillRect(from, top, Math.max(to - from, 1.5), bottom - top);
  }
  pen.globalAlpha = 1;
}

function drawCursor(pen, scale, left, right, top, bottom) {
  if (span.cursor === null || span.cursor < span.from || span.cursor > span.to) return;
  const x = Math.round(scale.x(span.cursor)) + 0.5;
  if (x < left || x > right) return;
  pen.strokeStyle = colours.text;
  pen.globalAlpha = 0.5;
  line(pen, x, top, x, bottom);
  pen.globalAlpha = 1;
}

function fitted(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let kept = text.length;
  while (kept > 0 && pen.measureText(`${text.slice(0, kept)}…`).width > width) kept--;
  return kept ? `${text.slice(0, kept)}…` : "";
}
