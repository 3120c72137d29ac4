// What part of the run is shown; the timeline and all charts follow it.

const SHORTEST = 2e-5; // seconds

const span = {
  from: 0,
  to: END,
  cursor: null, // seconds, where the pointer is
  listeners: [],
  get length() {
    return this.to - this.from;
  },
  show(from, to) {
    const length = Math.min(Math.max(to - from, SHORTEST), END);
    this.from = Math.min(Math.max(from, 0), END - length);
    this.to = this.from + length;
    this.changed();
  },
  zoom(factor, centre = (this.from + this.to) / 2) {
    this.show(centre - (centre - this.from) * factor, centre + (this.to - centre) * factor);
  },
  move(seconds) {
    this.show(this.from + seconds, this.to + seconds);
  },
  all() {
    this.show(0, END);
  },
  reveal(from, to) {
    const room = Math.max((to - from) * 0.6, Math.min(END / 400, 0.02));
    this.show(from - room, to + room);
  },
  point(seconds) {
    this.cursor = seconds;
    this.changed();
  },
  // Drawn once per frame, however many changes there were.
  changed() {
    if (this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      this.listeners.forEach((draw) => draw());
    });
  },
};
