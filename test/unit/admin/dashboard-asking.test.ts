// How the dashboard asks: once at a time, less often while it fails, with the token in a header alone.
import { ApiFailure, isSendable, makeApi } from '../../../src/admin/dashboard/api-client.js';
import { collect, LATE_MS, orLate } from '../../../src/admin/dashboard/collect.js';
import { Poller } from '../../../src/admin/dashboard/poller.js';
import { makeTokenStore } from '../../../src/admin/dashboard/token-store.js';

describe('the poller', () => {
  let answers: Array<(isAnswered: boolean) => void>;
  let mistakes: unknown[];
  let timers: Array<{ run: () => void; ms: number }>;
  let poller: Poller;
  beforeEach(() => {
    answers = [];
    [timers, mistakes] = [[], []];
    poller = new Poller({
      ask: () => new Promise<boolean>((resolve) => answers.push(resolve)),
      onMistake: (error) => mistakes.push(error),
      later: (run, ms) => {
        const timer = { run, ms };
        timers.push(timer);
        return timer;
      },
      cancel: (timer) => {
        timers = timers.filter((one) => one !== timer);
      },
      everyMs: 2000,
      maxMs: 15_000,
    });
  });
  const answer = async (isAnswered: boolean) => {
    answers.at(-1)?.(isAnswered);
    await new Promise((turn) => setImmediate(turn));
  };
  const fire = () => timers.shift()?.run();

  test('asks at once, then every two seconds; after failures less and less often, and as before when it is answered', async () => {
    poller.resume();
    const waits: number[] = [];
    for (const isAnswered of [true, false, false, false, false, false, true]) {
      await answer(isAnswered);
      waits.push(timers[0]?.ms as number);
      fire();
    }
    expect(waits).toEqual([2000, 4000, 8000, 15_000, 15_000, 15_000, 2000]);
    expect(answers).toHaveLength(8);
  });

  test('never asks twice at a time; what is wanted meanwhile is asked right after', async () => {
    poller.resume();
    poller.soon();
    poller.soon();
    expect(answers).toHaveLength(1);
    await answer(true);
    expect([answers.length, timers.length]).toEqual([2, 0]);
    await answer(true);
    expect([answers.length, timers.length]).toEqual([2, 1]);
  });

  test('goes on behind a mistake of whoever asks', async () => {
    const mistake = new TypeError('a mistake');
    poller.parts.ask = () => Promise.reject(mistake);
    poller.resume();
    await new Promise((turn) => setImmediate(turn));
    expect(mistakes).toEqual([mistake]);
    expect(timers.map(({ ms }) => ms)).toEqual([4000]);
  });

  test('asks nothing while it is paused, and at once when it goes on', async () => {
    poller.resume();
    await answer(true);
    poller.pause();
    poller.soon();
    expect([answers.length, timers.length]).toEqual([1, 0]);
    poller.resume();
    expect(answers).toHaveLength(2);
    poller.pause();
    await answer(true);
    expect(timers).toHaveLength(0);
  });
});

describe('the client', () => {
  const asked: Array<[string, RequestInit]> = [];
  const clientOf = (response: () => Response, token = '') =>
    makeApi({
      token: () => token,
      fetch: async (url: unknown, init: unknown) => {
        asked.push([String(url), init as RequestInit]);
        return response();
      },
    });
  const lastAsked = () => asked.at(-1) as [string, RequestInit];

  test('sends the token as a header, and no cookie; leaves out what is not asked for', async () => {
    const api = clientOf(() => Response.json({ fine: true }), 'secret');
    expect(await api('api/sessions', { server: '', owner: undefined, limit: 50 })).toEqual({ fine: true });
    const [url, init] = lastAsked();
    expect(url).toBe('api/sessions?server=&limit=50');
    expect(init).toMatchObject({ headers: { authorization: 'Bearer secret' }, credentials: 'omit', redirect: 'error' });
    await clientOf(() => Response.json({}))('api/pod');
    expect(lastAsked()[1].headers).toEqual({});
  });

  test.each([
    ['token', () => Response.json({ error: { code: 'UNAUTHENTICATED', message: 'm' } }, { status: 401 })],
    ['refused', () => Response.json({ error: { code: 'REDIS_AWAY', message: 'm' } }, { status: 503 })],
    ['silent', () => new Response('<html>502</html>', { status: 502 })],
    [
      'silent',
      () => {
        throw new TypeError('Failed to fetch');
      },
    ],
  ])('a failure is one of kind %s', async (kind, response) => {
    await expect(clientOf(response as () => Response)('api/pod')).rejects.toMatchObject({ name: 'ApiFailure', kind });
  });

  test('what cannot stand in a header is no token', () => {
    expect(['abc-123', 'with blank', 'ümlaut', '', 'a\nb'].map(isSendable)).toEqual([true, false, false, false, false]);
  });
});

test('a round keeps what was answered, and tells the worst of what was not', async () => {
  const refused = new ApiFailure('refused', 'm', 'REDIS_AWAY', 503);
  const questions = {
    pod: async () => 1,
    sessions: () => Promise.reject(refused),
    workers: () => Promise.reject(new ApiFailure('silent', '')),
  };
  expect(await collect(questions)).toMatchObject({ answers: { pod: 1 }, failure: refused });
  const token = new ApiFailure('token', '');
  expect((await collect({ ...questions, backends: () => Promise.reject(token) })).failure).toBe(token);
  expect((await collect({ pod: async () => 1 })).failure).toBeUndefined();
  // A mistake of the page is not retried for ever as if the gateway had failed.
  await expect(collect({ pod: () => Promise.reject(new TypeError('x')) })).rejects.toThrow('x');
});

test('silence is told before the question has run out of time, but not what comes of nobody asking', () => {
  expect(orLate(undefined, { lastMs: 1000, sinceMs: 0, nowMs: 1000 + LATE_MS })).toBeUndefined();
  expect(orLate(undefined, { lastMs: 1000, sinceMs: 0, nowMs: 1001 + LATE_MS })).toMatchObject({ kind: 'silent' });
  expect(orLate(undefined, { lastMs: 1000, sinceMs: 50_000, nowMs: 51_000 })).toBeUndefined();
});

test('the token lasts as long as the page where the browser keeps nothing', () => {
  const store = makeTokenStore(() => {
    throw new Error('SecurityError');
  });
  expect(store.get()).toBe('');
  store.set('t');
  expect(store.get()).toBe('t');
});
