'use strict';
// What the worker and the submitter share: the services of a fleet, and calls that are repeated.

const { readFileSync } = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const PROTOS = process.env.PROTOS || path.join(__dirname, '..', '..', 'protos');
const FILES = ['step_service', 'claim_service', 'heartbeat_service'];
const PASSING = [
  grpc.status.UNAVAILABLE,
  grpc.status.DEADLINE_EXCEEDED,
  grpc.status.RESOURCE_EXHAUSTED,
];
const OPTIONS = {
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  'grpc.enable_retries': 0, // it would know neither of RetryInfo nor of our deadline
  'grpc.keepalive_time_ms': 30000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.max_receive_message_length': -1,
};

// The services of pods at "host:port" or "ip:port,ip:port".
function connect(addresses = process.env.FLEET_Q_ADDRESS ?? '127.0.0.1:7411') {
  const definition = protoLoader.loadSync(
    FILES.map((name) => `fleetq/v1/${name}.proto`),
    { includeDirs: [PROTOS], keepCase: true, longs: Number, enums: String, defaults: true },
  );
  const { v1 } = grpc.loadPackageDefinition(definition).fleetq;
  const target = addresses.includes(',') ? `ipv4:${addresses}` : addresses;
  const open = (Service) => new Service(target, credentials(), OPTIONS);
  return {
    steps: open(v1.StepService),
    claims: open(v1.ClaimService),
    heartbeats: open(v1.HeartbeatService),
  };
}

// TLS and a token as they are given to every client of FLEET-Q, in the environment.
function credentials({ FLEET_Q_CA, FLEET_Q_KEY, FLEET_Q_CERTIFICATE } = process.env) {
  if (!FLEET_Q_CA) return grpc.credentials.createInsecure();
  const read = (file) => (file && file !== 'system' ? readFileSync(file) : null);
  const files = [FLEET_Q_CA, FLEET_Q_KEY, FLEET_Q_CERTIFICATE];
  return grpc.credentials.createSsl(...files.map(read));
}

const identity = new grpc.Metadata();
const { FLEET_Q_TOKEN: token } = process.env;
if (token) identity.set('authorization', `Bearer ${token}`);

// One attempt. `signal` cancels it.
function once(service, rpc, request, seconds, signal) {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + seconds * 1000;
    const call = service[rpc](request, identity, { deadline }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
    const cancel = () => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    call.on('status', () => signal?.removeEventListener('abort', cancel));
  });
}

// Repeats the same message until it is answered, refused for good, or `until` (ms) is past. That is
// harmless, for every message carries a request id or claim tokens.
async function call(service, rpc, request, { seconds = 5, until = Infinity, signal } = {}) {
  for (let pause = 50; ; pause = Math.min(1000, pause * 2)) {
    try {
      return await once(service, rpc, request, seconds, signal);
    } catch (error) {
      const wait = Math.max(pause, retryDelay(error)) * (1 + 0.3 * Math.random());
      const last = signal?.aborted || Date.now() + wait >= until;
      if (!PASSING.includes(error.code) || last) throw error;
      await sleep(wait, undefined, { signal });
    }
  }
}

// Milliseconds that the pod asks to wait for, in google.rpc.RetryInfo; 0 if it does not.
function retryDelay(error) {
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const details = bytes ? Status.decode(bytes).details : [];
  const found = details.find((detail) => detail.type_url.endsWith('/google.rpc.RetryInfo'));
  return found ? milliseconds(RetryInfo.decode(found.value).retry_delay) : 0;
}

const { root: errors } = require('protobufjs').parse(
  `syntax = "proto3";
   message Any { string type_url = 1; bytes value = 2; }
   message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
   message Duration { int64 seconds = 1; int32 nanos = 2; }
   message RetryInfo { Duration retry_delay = 1; }`,
  { keepCase: true },
);
const [Status, RetryInfo] = ['Status', 'RetryInfo'].map((name) => errors.lookupType(name));

const milliseconds = (duration) =>
  Number(duration?.seconds ?? 0) * 1000 + (duration?.nanos ?? 0) / 1e6;

const duration = (seconds) => ({
  seconds: Math.floor(seconds),
  nanos: Math.round((seconds % 1) * 1e9),
});

module.exports = { call, connect, duration, milliseconds, once, sleep, status: grpc.status };
