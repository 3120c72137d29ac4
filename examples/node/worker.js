'use strict';
// A worker of FLEET-Q: node worker.js [ADDRESS]. SIGTERM makes it claim no more, finish, and leave.

const { randomUUID } = require('node:crypto');
const fleet = require('./fleet');
const HANDLERS = require('./handlers');

const NAME = 'node example';
const PARALLELISM = 4;
const CLAIM_WAIT = 20; // seconds
const GRACE = 10; // seconds for what runs when told to end
const SAFE = 0.8; // of the time after which the fleet takes a silent holder for dead

class Worker {
  constructor(services) {
    Object.assign(this, services);
    this.running = new Set(); // by claim, for a step may come back while its old run unwinds
    this.draining = new AbortController();
    this.ended = new AbortController();
    this.interval = 1000;
    this.beginAnew();
  }

  // The fleet may take the holder we were for dead, and give its steps to others.
  beginAnew(holder = this.holder) {
    if (holder !== this.holder) return; // late news of one we are no longer
    if (holder) console.error(`holder ${holder} is fenced, ${this.running.size} handlers stopped`);
    this.holder = randomUUID();
    this.fenced?.abort();
    this.fenced = new AbortController();
    this.stopAll('lost');
  }

  async run() {
    const beating = this.keepBeating();
    while (!this.draining.signal.aborted) await this.claim(this.holder);
    await Promise.race([this.allEnded(), fleet.sleep(GRACE * 1000, undefined, { ref: false })]);
    this.stopAll('drained');
    await this.allEnded();
    this.ended.abort();
    clearTimeout(this.fence);
    await beating;
  }

  async claim(holder_id) {
    const max_steps = PARALLELISM - this.running.size;
    if (!max_steps) return new Promise((resolve) => (this.wake = resolve));
    const [kinds, wait] = [Object.keys(HANDLERS), fleet.duration(CLAIM_WAIT)];
    // Repeated with the same request_id, a claim whose answer was lost is granted again.
    const request = { holder_id, holder_name: NAME, max_steps, kinds, wait, request_id: randomUUID() };
    const signal = AbortSignal.any([this.draining.signal, this.fenced.signal]);
    try {
      const options = { seconds: CLAIM_WAIT + 5, signal };
      const { claims, draining } = await fleet.call(this.claims, 'ClaimSteps', request, options);
      if (holder_id === this.holder) claims.forEach((claim) => this.start(claim));
      if (draining) await fleet.sleep(200); // the next call may reach another pod
    } catch (error) {
      if (error.code === fleet.status.FAILED_PRECONDITION) this.beginAnew(holder_id);
      else if (!signal.aborted) throw error;
      else if (holder_id === this.holder) await this.giveBack({ ...request, wait: null });
    }
  }

  // What was granted while we stopped listening need not wait for our death.
  async giveBack(request) {
    try {
      const { claims } = await fleet.once(this.claims, 'ClaimSteps', request, 2);
      const claim_tokens = claims.map((claim) => claim.claim_token);
      if (claims.length) await fleet.once(this.claims, 'ReleaseSteps', { claim_tokens }, 2);
    } catch (error) {
      console.error(`not given back: ${error.message}`); // the fleet will miss our heartbeats
    }
  }

  start(claim) {
    const run = { token: claim.claim_token, stop: new AbortController() };
    const limit = fleet.milliseconds(claim.timeout);
    const timer = limit && setTimeout(() => run.stop.abort('timeout'), Math.min(limit, 2 ** 31 - 1));
    this.running.add(run);
    run.done = this.work(claim, run.stop.signal).finally(() => {
      clearTimeout(timer);
      this.running.delete(run);
      this.wake?.();
    });
  }

  async work({ claim_token, kind, payload }, signal) {
    const report = { rpc: 'CompleteSteps' };
    try {
      const value = await HANDLERS[kind](JSON.parse(payload.length ? payload : 'null'), signal);
      const result = { data: Buffer.from(JSON.stringify(value ?? null)), json: true };
      report.request = { completions: [{ claim_token, result }] };
    } catch ({ name, message }) {
      const cause = signal.reason === 'timeout' ? 'CAUSE_TIMEOUT' : 'CAUSE_HANDLER_ERROR';
      const given = ['drained', 'cancelled'].includes(signal.reason);
      report.rpc = given ? 'ReleaseSteps' : 'FailSteps';
      report.request = given
        ? { claim_tokens: [claim_token] }
        : { failures: [{ claim_token, cause, error: name, message }] };
    }
    if (signal.reason !== 'lost') await this.report(report);
  }

  async report({ rpc, request }) {
    const signal = this.fenced.signal; // the outcome of a lost claim is nobody's business
    try {
      const { outcomes } = await fleet.call(this.claims, rpc, request, { signal });
      if (outcomes[0].code === 'OUTCOME_CODE_LEASE_LOST') console.error(`late: ${outcomes[0].reason}`);
    } catch (error) {
      console.error(`not reported: ${error.message}`); // the step runs again elsewhere
    }
  }

  async keepBeating() {
    for (const { signal } = this.ended; !signal.aborted; ) {
      await this.beat(this.holder).catch((error) => console.error(`no heartbeat: ${error.message}`));
      await fleet.sleep(this.interval, undefined, { signal }).catch(() => {});
    }
  }

  async beat(holder_id) {
    const [sent, runs] = [performance.now(), [...this.running]];
    const claims = runs.map(({ token }) => ({ claim_token: token }));
    const request = { holder_id, holder_name: NAME, claims };
    const seconds = Math.max(0.5, this.interval / 1000);
    const answer = await fleet.once(this.heartbeats, 'Beat', request, seconds).catch((error) => {
      if (error.code === fleet.status.FAILED_PRECONDITION) this.beginAnew(holder_id);
      throw error;
    });
    if (holder_id !== this.holder) return;
    this.interval = fleet.milliseconds(answer.next_interval);
    const silent = fleet.milliseconds(answer.dead_threshold) * SAFE - (performance.now() - sent);
    clearTimeout(this.fence);
    this.fence = setTimeout(() => this.beginAnew(holder_id), silent);
    answer.outcomes.forEach(({ code }, index) => {
      if (code === 'OUTCOME_CODE_LEASE_LOST') runs[index].stop.abort('lost');
      if (code === 'OUTCOME_CODE_CANCEL_REQUESTED') runs[index].stop.abort('cancelled');
    });
    if (answer.drain) this.drain();
  }

  stopAll = (reason) => this.running.forEach((run) => run.stop.abort(reason));
  allEnded = () => Promise.all([...this.running].map((run) => run.done));
  drain = () => (this.draining.abort(), this.wake?.());
}

const worker = new Worker(fleet.connect(process.argv[2]));
['SIGTERM', 'SIGINT'].forEach((name) => process.once(name, worker.drain));
worker.run().then(() => process.exit(0));
