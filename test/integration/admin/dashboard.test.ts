// How the dashboard is served: to whom, with which headers, and nothing beside its own files.
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { makeAdminApp } from '../../../src/admin/admin-app.js';
import { AdminError } from '../../../src/admin/admin-error.js';
import { type AdminServer, listenForAdmin } from '../../../src/admin/admin-server.js';
import { readDashboard } from '../../../src/admin/dashboard-files.js';
import { makeHostGuard } from '../../../src/edge/host-guard.js';

const DIRECTORY = join(__dirname, '../../../src/admin/dashboard');
const FILES = readdirSync(DIRECTORY).filter((name) => name !== 'index.html');

let server: AdminServer;
afterEach(() => server?.close());

async function listen(dashboard = readDashboard(), token = 'the-token') {
  const pod = { ready: true, reasons: [], workers: { configured: 1, ready: 1 } };
  const app = makeAdminApp({
    status: () => pod,
    scrape: async () => ({ text: '', contentType: 'text/plain', reporting: 1, configured: 1 }),
    metricsToken: '',
    hostGuard: makeHostGuard({ hosts: [], origins: [], publicUrl: undefined }, '127.0.0.1:0'),
    api: {
      token,
      ask: () => Promise.reject(new AdminError('NO_WORKER')),
      pod: () => ({ version: '', pid: 1, ...pod }),
      audit: () => undefined,
    },
    dashboard,
    onError: () => undefined,
  });
  server = await listenForAdmin({ host: '127.0.0.1', port: 0 }, app);
}

/** Not fetch: it mends paths, and lets nobody choose Host. */
function ask(path: string, headers: Record<string, string> = {}, method = 'GET') {
  return new Promise<{ status: number; headers: Record<string, string | undefined>; body: string }>((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: server.port, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        body += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers as never, body }));
    });
    sent.once('error', reject).end();
  });
}

const codeOf = ({ body }: { body: string }) => JSON.parse(body).error.code;

test('every file is served as it is, with its type, without the token', async () => {
  await listen();
  const page = await ask('/');
  expect([page.status, page.headers['content-type'], page.body]).toEqual([
    200,
    'text/html; charset=utf-8',
    readFileSync(join(DIRECTORY, 'index.html'), 'utf8'),
  ]);
  const types = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' };
  for (const name of FILES) {
    const { status, headers, body } = await ask(`/dashboard/${name}`);
    expect([name, status, headers['content-type']]).toEqual([name, 200, types[name.split('.').at(-1) as keyof typeof types]]);
    expect(body).toBe(readFileSync(join(DIRECTORY, name), 'utf8'));
  }
  // The page asks for nothing that is not there: no other name stands in it or in what it loads.
  const asked = [page.body, ...FILES.map((name) => readFileSync(join(DIRECTORY, name), 'utf8'))].flatMap((text) =>
    [...text.matchAll(/(?:"dashboard\/|from '\.\/)([\w.-]+)/g)].map((found) => found[1]),
  );
  expect(new Set(asked)).toEqual(new Set(FILES));
});

test('the API behind it still asks for the token', async () => {
  await listen();
  expect(codeOf(await ask('/api/pod'))).toBe('UNAUTHENTICATED');
});

test('nothing but its own code, styles and API is let in by the policy, and no frame around it', async () => {
  await listen();
  for (const path of ['/', '/dashboard/app.js', '/dashboard/icon.svg']) {
    const { headers } = await ask(path);
    expect(headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    );
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(headers).not.toHaveProperty('set-cookie');
    expect(headers).not.toHaveProperty('x-powered-by');
  }
});

test('a browser that has a file gets 304, and the file again when its content has changed', async () => {
  await listen();
  const { headers, body } = await ask('/dashboard/app.js');
  const etag = headers.etag as string;
  const known = await ask('/dashboard/app.js', { 'if-none-match': etag });
  expect([known.status, known.body, known.headers.etag]).toEqual([304, '', etag]);
  expect(known.headers['content-security-policy']).toContain("default-src 'none'");
  expect((await ask('/dashboard/app.js', { 'if-none-match': '"other"' })).body).toBe(body);
  const tags = [...readDashboard().values()].map((file) => file.etag);
  expect(new Set(tags).size).toBe(tags.length);
});

test('HEAD is GET without a body; other methods are refused', async () => {
  await listen();
  const head = await ask('/', {}, 'HEAD');
  expect([head.status, head.body, Number(head.headers['content-length']) > 0]).toEqual([200, '', true]);
  for (const method of ['POST', 'PUT', 'DELETE']) {
    const { status, headers } = await ask('/', {}, method);
    expect([status, headers.allow]).toEqual([405, 'GET, HEAD']);
  }
});

test.each([
  '/dashboard',
  '/dashboard/',
  '/dashboard/index.html',
  '/index.html',
  '/dashboard/../../../package.json',
  '/dashboard/..%2f..%2fadmin-app.js',
  '/dashboard/%2e%2e/admin-app.js',
  '/dashboard/app.js/',
  '/dashboard/constructor',
  '//',
])('%s is not there', async (path) => {
  await listen();
  const answer = await ask(path);
  expect([answer.status, codeOf(answer)]).toEqual([404, 'NOT_FOUND']);
});

test('a page of a stranger that has our address by its own name (DNS rebinding) gets nothing, with what to do where it is no stranger', async () => {
  await listen();
  for (const path of ['/', '/dashboard/app.js']) {
    const foreign = await ask(path, { host: 'rebound.evil.example:8081' });
    expect([foreign.status, codeOf(foreign)]).toEqual([403, 'HOST_FORBIDDEN']);
    expect(foreign.body).toContain('set publicUrl or hosts');
    const other = await ask(path, { origin: 'https://evil.example' });
    expect([other.status, codeOf(other)]).toEqual([403, 'ORIGIN_FORBIDDEN']);
  }
  for (const host of ['127.0.0.1:1', 'localhost:9000', '[::1]:8081']) expect((await ask('/', { host })).status).toBe(200);
});

test('a build without the files says so, and serves everything else', async () => {
  await listen(readDashboard(join(DIRECTORY, 'missing')), '');
  const answer = await ask('/');
  expect([answer.status, codeOf(answer)]).toEqual([404, 'NOT_FOUND']);
  expect(answer.body).toContain('npm run build');
  expect((await ask('/api/pod')).status).toBe(200);
});
