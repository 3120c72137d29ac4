'use strict';
// Submits steps and prints what became of each, a line of JSON: node submitter.js COUNT [PAYLOAD] [ADDRESS].

const { randomUUID } = require('node:crypto');
const fleet = require('./fleet');

const BATCH = 1000;
const WAIT = 20; // seconds

async function submit(steps, payloads) {
  const step_ids = [];
  for (let at = 0; at < payloads.length; at += BATCH) {
    const batch = payloads.slice(at, at + BATCH);
    // Repeated with the same request_id, a batch whose answer was lost is not taken twice.
    const request = { request_id: randomUUID(), steps: batch.map(step) };
    const answer = await fleet.call(steps, 'SubmitSteps', request, { until: Date.now() + 60000 });
    step_ids.push(...answer.steps.map((each) => each.step_id));
  }
  return step_ids;
}

const step = (payload) => ({ kind: 'work', payload: Buffer.from(JSON.stringify(payload)) });

// Gives each step as it ends.
async function* ends(steps, step_ids) {
  for (const open = new Set(step_ids); open.size; ) {
    const request = { step_ids: [...open].slice(0, BATCH), wait: fleet.duration(WAIT), any: true };
    const { ended } = await fleet.call(steps, 'WaitSteps', request, { seconds: WAIT + 5 });
    ended.forEach(({ step_id }) => open.delete(step_id));
    yield* ended;
  }
}

async function main([count = '1', payload = '{}', address]) {
  const { steps } = fleet.connect(address);
  const payloads = Array.from({ length: Number(count) }, (_, n) => ({ n, ...JSON.parse(payload) }));
  let good = true;
  for await (const end of ends(steps, await submit(steps, payloads))) {
    const { step_id, state, result, error, attempt } = end;
    const value = result?.json ? JSON.parse(result.data) : undefined;
    console.log(JSON.stringify({ step_id, state, attempt, value, error: error || undefined }));
    good &&= state === 'STEP_STATE_COMPLETED';
  }
  return good ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    console.error(`submitter: ${error.details ?? error.message}`);
    process.exit(3);
  },
);
