'use strict';
// What this worker can do: a function per kind, of the payload and a signal to stop.

const { setTimeout: sleep } = require('node:timers/promises');

module.exports = {
  // {"seconds": 0.5} takes that long and gives its payload back; {"fail": "NoSuchFile"} fails so.
  async work(payload, signal) {
    await sleep((payload?.seconds ?? 0) * 1000, undefined, { signal });
    if (payload?.fail) throw Object.assign(new Error('asked to fail'), { name: payload.fail });
    return payload;
  },
};
