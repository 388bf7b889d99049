// The HTTP side of the admin API: who may ask, what is understood, and what is written down of it.
import { request } from 'node:http';
import { makeAdminApp } from '../../../src/admin/admin-app.js';
import { ADMIN_ERRORS, AdminError } from '../../../src/admin/admin-error.js';
import type { AdminAnswer, AdminRequest } from '../../../src/admin/admin-request.js';
import { type AdminServer, listenForAdmin } from '../../../src/admin/admin-server.js';
import { API_ROUTES } from '../../../src/admin/api-routes.js';
import type { AuditEntry } from '../../../src/admin/api-router.js';
import { makeHostGuard } from '../../../src/edge/host-guard.js';

const TOKEN = 'the-token';
const REF = 'r'.repeat(22);
const POD = { version: '1.2.3', pid: 1, ready: true, reasons: [], workers: { configured: 1, ready: 1 } };
const ID = `t-${'0'.repeat(64)}`;

let server: AdminServer | undefined;
let asked: AdminRequest[] = [];
let audited: AuditEntry[] = [];
let failures: unknown[] = [];
afterEach(async () => {
  await server?.close();
  [asked, audited, failures] = [[], [], []];
});

const fine = async (): Promise<AdminAnswer> => ({ status: 200, body: { fine: true } });

async function listen(answer: () => Promise<AdminAnswer> = fine, token = TOKEN, hosts: string[] = []) {
  const app = makeAdminApp({
    status: () => ({ ready: true, reasons: [], workers: { configured: 1, ready: 1 } }),
    scrape: async () => ({ text: '', contentType: 'text/plain', reporting: 1, configured: 1 }),
    metricsToken: '',
    hostGuard: makeHostGuard({ hosts, origins: [], publicUrl: undefined }, '127.0.0.1:0'),
    api: {
      token,
      ask: (question) => {
        asked.push(question);
        return answer();
      },
      pod: () => POD,
      audit: (entry) => audited.push(entry),
    },
    dashboard: new Map(),
    onError: (error) => failures.push(error),
  });
  server = await listenForAdmin({ host: '127.0.0.1', port: 0 }, app);
}

interface Options {
  readonly method?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string;
}

/** Not fetch: it lets nobody choose Host. */
function ask(path: string, { method = 'GET', headers = { authorization: `Bearer ${TOKEN}` }, body = '' }: Options = {}) {
  return new Promise<{ status: number; headers: Record<string, unknown>; text: string; code: string }>((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: server?.port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => {
        const code = text === '' ? '' : (JSON.parse(text).error?.code ?? '');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, code });
      });
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

test('every path of it wants the token, those that are not there as well, and no other', async () => {
  await listen();
  const paths = [
    '/api/pod',
    ...API_ROUTES.map(({ path }) => path.replace(':id', REF)),
    '/api',
    '/api/',
    '/api/unknown',
    '/API/workers',
  ];
  for (const path of paths) {
    const two = [`Bearer ${TOKEN}`, `Bearer ${TOKEN}`];
    for (const authorization of [undefined, 'Bearer ', 'Bearer wrong', `Basic ${TOKEN}`, `Bearer ${TOKEN}x`, TOKEN, two]) {
      const answer = await ask(path, { headers: authorization === undefined ? {} : { authorization } });
      expect([path, answer.status, answer.code]).toEqual([path, 401, 'UNAUTHENTICATED']);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
    }
  }
  expect([asked, audited]).toEqual([[], []]);
  expect((await ask('/api/workers')).status).toBe(200);
  expect((await ask('/api/workers', { headers: { authorization: `bearer ${TOKEN}` } })).status).toBe(200);
});

test('without a token, which only loopback allows, it is free', async () => {
  await listen(undefined, '');
  expect((await ask('/api/workers', { headers: {} })).status).toBe(200);
  expect((await ask(`/api/sessions/${REF}`, { headers: {} })).status).toBe(200);
  expect(audited[0]?.by).toBe('loopback, no token');
});

test('Host and Origin are checked before the token', async () => {
  await listen();
  expect((await ask('/api/workers', { headers: { host: 'evil.example' } })).code).toBe('HOST_FORBIDDEN');
  expect((await ask('/api/workers', { headers: { origin: 'https://evil.example' } })).code).toBe('ORIGIN_FORBIDDEN');
});

test.each<[string, string, AdminRequest]>([
  ['GET', '/api/workers', { kind: 'workers' }],
  ['GET', '/api/backends', { kind: 'backends' }],
  ['GET', '/api/servers', { kind: 'servers' }],
  ['GET', '/api/sessions', { kind: 'sessions', filter: {}, limit: 100 }],
  [
    'GET',
    '/api/sessions?server=&owner=a&principal=b&limit=1000&cursor=c',
    { kind: 'sessions', filter: { server: '', owner: 'a', principal: 'b' }, limit: 1000, cursor: 'c' },
  ],
  ['GET', `/api/sessions/${REF}`, { kind: 'session', ref: REF as never }],
  ['DELETE', `/api/sessions/${REF}`, { kind: 'kill', ref: REF as never }],
  ['GET', '/api/teardowns?state=delayed&limit=1', { kind: 'teardowns', state: 'delayed', limit: 1 }],
  ['POST', '/api/teardowns/retry?backend=b', { kind: 'retryAll', backend: 'b' }],
  ['POST', '/api/teardowns/retry', { kind: 'retryAll' }],
  ['POST', `/api/teardowns/${ID}/retry`, { kind: 'retry', id: ID }],
  ['DELETE', `/api/teardowns/${ID}`, { kind: 'drop', id: ID }],
])('%s %s is understood', async (method, path, expected) => {
  await listen();
  expect((await ask(path, { method })).status).toBe(200);
  expect(asked).toEqual([expected]);
});

test.each([
  ['/api/sessions?limit=0', 'BAD_QUERY'],
  ['/api/sessions?limit=1001', 'BAD_QUERY'],
  ['/api/sessions?limit=ten', 'BAD_QUERY'],
  ['/api/sessions?limit=1&limit=2', 'BAD_QUERY'],
  ['/api/sessions?serve=x', 'BAD_QUERY'],
  ['/api/sessions?__proto__=x', 'BAD_QUERY'],
  ['/api/workers?limit=1', 'BAD_QUERY'],
  ['/api/teardowns?state=done', 'BAD_QUERY'],
  ['/api/sessions/short', 'SESSION_UNKNOWN'],
  [`/api/sessions/${'r'.repeat(32)}`, 'SESSION_UNKNOWN'],
  ['/api/sessions/..%2f..%2fx', 'SESSION_UNKNOWN'],
  ['/api/unknown', 'NOT_FOUND'],
  ['/api', 'NOT_FOUND'],
  [`/api/sessions/${REF}/backends`, 'NOT_FOUND'],
])('%s is refused with %s, and nobody is asked', async (path, code) => {
  await listen();
  const answer = await ask(path);
  expect([answer.status, answer.code]).toEqual([ADMIN_ERRORS[code as keyof typeof ADMIN_ERRORS][0], code]);
  expect(asked).toEqual([]);
});

test('other methods are refused with those that there are; HEAD answers as GET without a body', async () => {
  await listen();
  expect((await ask('/api/workers', { method: 'POST' })).headers.allow).toBe('GET, HEAD');
  const put = await ask(`/api/sessions/${REF}`, { method: 'PUT' });
  expect([put.status, put.code, put.headers.allow]).toEqual([405, 'METHOD_NOT_ALLOWED', 'GET, HEAD, DELETE']);
  expect((await ask('/api/teardowns/retry')).headers.allow).toBe('POST');
  const head = await ask('/api/workers', { method: 'HEAD' });
  expect([head.status, head.text]).toEqual([200, '']);
});

test('the pod speaks for itself, and nobody is asked', async () => {
  await listen(() => Promise.reject(new AdminError('NO_WORKER')));
  const answer = await ask('/api/pod');
  expect([answer.status, JSON.parse(answer.text), asked]).toEqual([200, POD, []]);
  expect((await ask('/api/pod?x=1')).code).toBe('BAD_QUERY');
  expect((await ask('/api/pod', { method: 'POST' })).headers.allow).toBe('GET, HEAD');
});

test('a page of our own may change things where a token is asked for; elsewhere its name must be allowed', async () => {
  const headers = { authorization: `Bearer ${TOKEN}`, host: 'admin.example:8081', origin: 'https://admin.example:8081' };
  const remove = (more: Record<string, string> = {}) =>
    ask(`/api/sessions/${REF}`, { method: 'DELETE', headers: { ...headers, ...more } });
  await listen(undefined, TOKEN, ['admin.example']);
  expect((await remove()).status).toBe(200);
  for (const origin of ['https://evil.example', 'https://admin.example', 'null', 'https://admin.example:8081.evil.example']) {
    expect((await remove({ origin })).code).toBe('ORIGIN_FORBIDDEN');
  }
  await server?.close();
  await listen(undefined, '', ['admin.example']);
  expect((await remove()).code).toBe('ORIGIN_FORBIDDEN');
  expect((await remove({ host: 'localhost:8081', origin: 'http://localhost:8081' })).status).toBe(200);
});

test('a body is refused, and its connection closed', async () => {
  await listen();
  const answer = await ask('/api/teardowns/retry', {
    method: 'POST',
    headers: {
      authorization: `Bearer ${TOKEN}`,
      'content-type': 'application/json',
      'content-length': '2',
      connection: 'keep-alive',
    },
    body: '{}',
  });
  expect([answer.status, answer.code, answer.headers.connection]).toEqual([413, 'BODY_UNWANTED', 'close']);
});

test('looks at one session and everything that changes something are written down, with what came of it', async () => {
  await listen(async () => ({ status: 404, body: new AdminError('SESSION_UNKNOWN').body }));
  await ask('/api/sessions');
  await ask('/api/teardowns');
  expect(audited).toEqual([]);
  await ask(`/api/sessions/${REF}`);
  await ask(`/api/sessions/${REF}`, { method: 'DELETE' });
  await ask('/api/teardowns/retry?backend=b', { method: 'POST' });
  await ask(`/api/teardowns/${ID}`, { method: 'DELETE' });
  await ask(`/api/sessions/${'x'.repeat(500)}`);
  const common = { status: 404, remote: '127.0.0.1', by: 'admin token' };
  expect(audited).toEqual([
    { ...common, action: 'session.show', about: REF },
    { ...common, action: 'session.kill', about: REF },
    { ...common, action: 'teardown.retryAll', about: 'b' },
    { ...common, action: 'teardown.drop', about: ID },
    { ...common, action: 'session.show', about: 'x'.repeat(80) },
  ]);
});

test('what cannot be answered now says when to ask again; what breaks says nothing but that', async () => {
  await listen(() => Promise.reject(new AdminError('NO_WORKER')));
  const away = await ask('/api/workers');
  expect([away.status, away.code, away.headers['retry-after']]).toEqual([503, 'NO_WORKER', '1']);
  expect(failures).toEqual([]);
  await server?.close();

  await listen(async () => ({ status: 503, body: new AdminError('REDIS_AWAY').body }));
  expect((await ask('/api/workers')).headers['retry-after']).toBe('1');
  await server?.close();

  const broken = new Error('secret detail');
  await listen(() => Promise.reject(broken));
  const answer = await ask(`/api/sessions/${REF}`);
  expect([answer.status, answer.code]).toEqual([500, 'INTERNAL']);
  expect(answer.text).not.toContain('secret');
  expect([failures, audited.map(({ status }) => status)]).toEqual([[broken], [500]]);
});
