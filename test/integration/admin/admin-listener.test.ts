import { request } from 'node:http';
import { type AdminParts, makeAdminApp } from '../../../src/admin/admin-app.js';
import { type AdminServer, listenForAdmin } from '../../../src/admin/admin-server.js';
import { makeHostGuard } from '../../../src/edge/host-guard.js';

const scraped = {
  text: 'berth_workers{state="ready"} 1\n',
  contentType: 'text/plain; version=0.0.4; charset=utf-8',
  reporting: 1,
  configured: 2,
};

describe('the admin listener', () => {
  let server: AdminServer | undefined;
  const failures: unknown[] = [];
  afterEach(async () => {
    failures.length = 0;
    await server?.close();
    server = undefined;
  });

  async function listen(parts: Partial<AdminParts> = {}): Promise<void> {
    const app = makeAdminApp({
      status: () => ({ ready: true, reasons: [], workers: { configured: 2, ready: 2 } }),
      scrape: async () => scraped,
      metricsToken: '',
      hostGuard: makeHostGuard({ hosts: [], origins: [], publicUrl: undefined }, '127.0.0.1:0'),
      api: {
        token: '',
        ask: () => Promise.reject(new Error('nobody is asked')),
        pod: () => ({ version: '', pid: 1, ready: true, reasons: [], workers: { configured: 2, ready: 2 } }),
        audit: () => undefined,
      },
      dashboard: new Map(),
      onError: (error) => failures.push(error),
      ...parts,
    });
    server = await listenForAdmin({ host: '127.0.0.1', port: 0 }, app);
  }

  interface Reply {
    readonly status: number | undefined;
    readonly headers: Record<string, string | string[] | undefined>;
    readonly body: string;
  }

  /** Not fetch: it lets nobody choose Host. */
  function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: server?.port, path, method, headers, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
      });
      sent.once('error', reject);
      sent.end();
    });
  }

  it('answers probes and metrics whatever Host says, and nothing else', async () => {
    await listen();
    const foreign = { host: '10.1.2.3:8081' };
    expect((await ask('/livez', foreign)).status).toBe(200);
    expect((await ask('/readyz', foreign)).status).toBe(200);
    expect((await ask('/metrics', foreign)).status).toBe(200);
    for (const path of ['/', '/api/sessions', '/unknown']) {
      const { status, body } = await ask(path, foreign);
      expect([status, JSON.parse(body).error.code]).toEqual([403, 'HOST_FORBIDDEN']);
    }
    expect((await ask('/', { host: 'localhost:1' })).status).toBe(404);
    expect((await ask('/', { host: 'localhost', origin: 'https://evil.example' })).status).toBe(403);
  });

  it('says why a pod is not ready, with 503', async () => {
    const status = { ready: false, reasons: ['no worker is ready', 'worker 1: starting'], workers: { configured: 1, ready: 0 } };
    await listen({ status: () => status });
    const { status: code, body, headers } = await ask('/readyz');
    expect(code).toBe(503);
    expect(JSON.parse(body)).toEqual({ status: 'not ready', reasons: status.reasons, workers: status.workers });
    expect(headers['cache-control']).toBe('no-store');
    expect(JSON.parse((await ask('/livez')).body)).toEqual({ status: 'alive' });
  });

  it('serves metrics in the text format and says how many workers reported', async () => {
    await listen();
    const { headers, body } = await ask('/metrics');
    expect(body).toBe(scraped.text);
    expect(headers['content-type']).toBe(scraped.contentType);
    expect(headers['x-berth-workers-reporting']).toBe('1/2');
    expect(headers).not.toHaveProperty('etag');
    expect(headers).not.toHaveProperty('x-powered-by');
  });

  it('asks for the metrics token where there is one, and for nothing on probes', async () => {
    await listen({ metricsToken: 'the-token' });
    for (const authorization of [undefined, 'Bearer wrong', 'Basic dGhlLXRva2Vu', 'Bearer the-tokenn', 'Bearer ']) {
      const { status, headers } = await ask('/metrics', authorization === undefined ? {} : { authorization });
      expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer']);
    }
    expect((await ask('/metrics', { authorization: 'Bearer the-token' })).status).toBe(200);
    expect((await ask('/livez')).status).toBe(200);
  });

  it('refuses other methods with 405', async () => {
    await listen();
    const { status, headers, body } = await ask('/metrics', {}, 'POST');
    expect([status, headers.allow, JSON.parse(body).error.code]).toEqual([405, 'GET, HEAD', 'METHOD_NOT_ALLOWED']);
  });

  it('answers JSON without details when something breaks, and tells the log', async () => {
    const broken = new Error('secret detail');
    await listen({ scrape: () => Promise.reject(broken) });
    const { status, body } = await ask('/metrics');
    expect([status, JSON.parse(body)]).toEqual([
      500,
      { error: { code: 'INTERNAL', message: 'Internal error. The log of the gateway says more' } },
    ]);
    expect(failures).toEqual([broken]);
    expect(JSON.parse((await ask('/%ff')).body).error.code).toBeDefined();
  });

  it('names a taken port', async () => {
    await listen();
    const again = listenForAdmin({ host: '127.0.0.1', port: (server as AdminServer).port }, () => undefined);
    await expect(again).rejects.toMatchObject({ exitCode: 69, message: expect.stringContaining('admin.listen: port') });
  });
});
