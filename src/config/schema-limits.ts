// Options of `limits`: what one request, one caller, one worker may take.
import { z } from 'zod';
import { doc } from './doc.js';
import { duration, size } from './units.js';

export const limits = z
  .strictObject({
    body: doc(size('4MiB', { min: '1KiB', max: '256MiB' }), {
      text: 'Largest request body; beyond it 413.',
      reason: 'Tools that take files.',
    }),
    requestTimeout: doc(duration('5m', { min: '100ms' }), {
      text: 'How long one request of a client may take in all.',
      reload: 'live',
      reason: 'Above the longest `timeout` of a backend.',
    }),
    connectTimeout: doc(duration('5s', { min: '10ms' }), {
      text: 'How long connecting to an HTTP backend may take.',
      reload: 'live',
      reason: 'Backends far away.',
    }),
    startTimeout: doc(duration('60s', { min: '10ms' }), {
      text: 'How long a backend may take from its start to the end of its initialize.',
      reload: 'live',
      reason: 'Commands that install themselves first (npx, uvx).',
    }),
    reinitializeTimeout: doc(duration('10s', { min: '10ms' }), {
      text: 'How long a new backend session may take when the old one was lost, while a request waits for it.',
      reload: 'live',
      reason: 'Backends that start slowly.',
    }),
    hold: doc(duration('10s', { min: '100ms' }), {
      text: 'How long a request may wait for a session owner or for Redis to come back; then 503. At least `internal.lease` + 2 s.',
      reload: 'live',
      reason: 'Raise it together with the lease.',
    }),
    queueDelay: doc(duration('50ms', { max: '1m' }), {
      text: 'How long requests may wait for a worker that has more of them than it can serve. If they wait longer for a second, as many as it cannot serve are refused with 503 until it keeps up, early enough that the others wait for less; `0s`: never (docs/limits.md).',
      reload: 'live',
      reason: 'Longer: clients would rather wait than be refused, or many connections take turns. See `berth_overloaded`.',
    }),
    requests: doc(z.int().min(1).default(10_000), {
      text: 'Requests under way in one worker, each of a batch counted, streams of GET not; beyond it 503. What waits for no answer (notifications, DELETE) is refused when twice as many are under way.',
      reload: 'live',
      reason: 'Lower where requests are large and memory is short.',
    }),
    requestsPerPrincipal: doc(z.int().min(1).default(1000), {
      text: 'Of them, those of one caller, at the worker that he is connected to and at the owner of the session; beyond it 429. Callers are told apart by authentication only: without it, this binds nobody.',
      reload: 'live',
      reason:
        'Raise it for a caller that serves many users; lower it where one caller must not use up the connections to a slow backend.',
    }),
    connections: doc(z.int().min(1).default(20_000), {
      text: 'Connections of clients to one worker; over further ones requests get 503, and they are closed.',
      reload: 'live',
      reason: 'Below the descriptors of the process (`ulimit -n`), of which streams and backends need some, too.',
    }),
    slowReader: doc(duration('30s', { min: '500ms' }), {
      text: 'How long a client may take nothing of what waits for it before its stream ends in order; its connection is closed after twice that. Calls run on, and their answers can be fetched (docs/streams.md).',
      reload: 'live',
      reason: 'Shorter: slow clients hold connections to backends for less time. Longer: clients that sleep.',
    }),
    keepAliveTimeout: doc(duration('75s', { min: '1s' }), {
      text: 'How long an idle connection of a client stays open.',
      reload: 'live',
      reason: "Above the load balancer's idle time: 60 s with nginx and ALB, 600 s with Google (then `620s`).",
    }),
  })
  .prefault({});
