// logging/setLevel and resources/(un)subscribe: whom they ask, and what stands afterwards.
import type { BackendInfo, BackendSession } from '../../../src/backends/backend.js';
import type { OwnRequest } from '../../../src/backends/own-requests.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';
import { StandingServer } from '../../../src/sessions/serve-standing.js';
import type { Serving } from '../../../src/sessions/serving.js';
import type { Session } from '../../../src/sessions/session.js';
import { StandingRequests } from '../../../src/sessions/standing-requests.js';
import { FakeClock } from '../../support/fake-clock.js';

const ALL = { logging: {}, resources: { subscribe: true } };
type Answers = Record<string, (request: OwnRequest) => unknown>;

function make(capabilities: Record<string, object | Error>, answers: Answers = {}) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const saved: string[] = [];
  const ownRequests = {
    request: async ({ backend }: BackendSession, request: OwnRequest) => {
      asked.push(`${backend} ${request.method} ${Object.values(request.params).join()}`);
      return { jsonrpc: '2.0' as const, id: 1, result: {}, ...(answers[backend]?.(request) as object) };
    },
  };
  const backends = Object.entries(capabilities).map(([backend, offered]) => {
    const open = async (): Promise<BackendInfo> => {
      if (offered instanceof Error) throw offered;
      return { protocolVersion: '', capabilities: offered as Record<string, unknown> };
    };
    return [backend, { backend, open }] as const;
  });
  const session = {
    backends: new Map(backends),
    facts: { ref: 'ref', server: { backends: Object.keys(capabilities) } },
    state: 'active',
    token: {},
    mayAct: () => true,
  } as unknown as Session;
  const backendOf = (_session: Session, name: string) => session.backends.get(name);
  const directory = {
    saveStanding: async (_ref: unknown, _token: unknown, text: string) => ({ kind: 'saved' as const, n: saved.push(text) }),
  };
  const keyring = makeKeyring(['secret']);
  const standing = new StandingRequests({ ownRequests, clock, keyring, directory, backendOf, warn: () => undefined });
  const findResource = async (_session: Session, uri: string) => uri.split(':')[0] as string;
  const server = new StandingServer({
    clock,
    sessionBackends: { get: backendOf },
    catalogs: { findResource },
    ownRequests,
    standing,
  });
  const ask = async (what: 'setLevel' | 'subscribe' | 'unsubscribe', params: object, ended = false) => {
    const method = what === 'setLevel' ? `logging/${what}` : `resources/${what}`;
    const told: string[] = [];
    const answer = { ended, message: (json: string) => told.push(json) };
    const body = { message: { jsonrpc: '2.0', id: 9, method, params: { server_id: 's', ...params } } };
    await server[what]({
      session,
      exchange: { headers: {}, note: {}, deadlineMs: 60_000 },
      body,
      answer,
    } as unknown as Serving);
    return JSON.parse(told.join() || 'null');
  };
  return { session, standing: standing.of(session), asked, saved, ask };
}

describe('logging/setLevel', () => {
  it('is asked of every backend that logs, saved once, and answered', async () => {
    const { ask, asked, saved, standing } = make({ a: ALL, b: { tools: {} }, c: ALL });
    expect(await ask('setLevel', { level: 'debug' })).toEqual({ jsonrpc: '2.0', id: 9, result: {} });
    expect(asked).toEqual(['a logging/setLevel debug', 'c logging/setLevel debug']);
    expect(saved).toHaveLength(1);
    expect(standing.level).toBe('debug');
  });

  it.each([undefined, 7, 'loud', 'DEBUG', '__proto__'])('of %p is refused before anybody hears of it', async (level) => {
    const { ask, asked, standing } = make({ a: ALL });
    await expect(ask('setLevel', { level })).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
    expect([asked, standing.level]).toEqual([[], undefined]);
  });

  const away = new GatewayError('BACKEND_UNAVAILABLE');
  const refuses = () => ({ error: { code: -32603, message: 'no' } });

  it('stands where one backend is away or refuses, for when it opens; where all fail, the client is told and nothing stands', async () => {
    const some = make({ a: away, b: ALL, c: ALL }, { b: refuses });
    expect(await some.ask('setLevel', { level: 'info' })).toMatchObject({ result: {} });
    expect(some.standing.level).toBe('info');
    const all = make({ a: ALL, b: away }, { a: refuses });
    all.standing.level = 'error';
    expect(await all.ask('setLevel', { level: 'info' })).toEqual({
      jsonrpc: '2.0',
      id: 9,
      error: { code: -32603, message: 'no' },
    });
    const gone = make({ a: away });
    await expect(gone.ask('setLevel', { level: 'info' })).rejects.toBe(away);
    expect([all.standing.level, all.saved, gone.standing.level]).toEqual(['error', [], undefined]);
  });

  it('is not told again to a backend that was opened, and told by that, meanwhile', async () => {
    const { ask, asked, standing, session } = make({ a: ALL });
    const backend = session.backends.get('a') as BackendSession;
    const { open } = backend;
    Object.assign(backend, {
      open: () => {
        standing.told.set('a', standing.level as string);
        return open.call(backend, 0);
      },
    });
    await ask('setLevel', { level: 'debug' });
    expect(asked).toEqual([]);
  });
});

describe('resources/subscribe', () => {
  it('goes to the backend of the resource, and back where it was subscribed', async () => {
    const { ask, asked, standing, saved } = make({ a: ALL, b: ALL });
    expect(await ask('subscribe', { uri: 'b:1' })).toMatchObject({ id: 9, result: {} });
    expect(standing.backendOf('b:1')).toBe('b');
    await ask('subscribe', { uri: 'b:1' });
    expect(await ask('unsubscribe', { uri: 'b:1' })).toMatchObject({ id: 9, result: {} });
    expect(asked).toEqual(['b resources/subscribe b:1', 'b resources/subscribe b:1', 'b resources/unsubscribe b:1']);
    expect(standing.backendOf('b:1')).toBeUndefined();
    expect(saved.at(-1)).toBe('');
  });

  it('that is refused, fails, or was cancelled does not stand; one that stood before does', async () => {
    let answer: () => unknown = () => ({ error: { code: -32002, message: 'Resource not found', data: { uri: 'a:1' } } });
    const { ask, asked, standing } = make({ a: ALL }, { a: () => answer() });
    expect(await ask('subscribe', { uri: 'a:1' })).toMatchObject({ error: { code: -32002, data: { uri: 'a:1' } } });
    expect(standing.backendOf('a:1')).toBeUndefined();
    await ask('subscribe', { uri: 'a:1' }, true);
    expect(asked).toHaveLength(1);
    answer = () => ({});
    await ask('subscribe', { uri: 'a:1' });
    answer = () => {
      throw new GatewayError('BACKEND_TIMEOUT');
    };
    await expect(ask('subscribe', { uri: 'a:1' })).rejects.toMatchObject({ code: 'BACKEND_TIMEOUT' });
    await expect(ask('subscribe', { uri: 'a:2' })).rejects.toMatchObject({ code: 'BACKEND_TIMEOUT' });
    expect([standing.backendOf('a:1'), standing.backendOf('a:2')]).toEqual(['a', undefined]);
    // Whatever becomes of it, it is not asked for again.
    await expect(ask('unsubscribe', { uri: 'a:1' })).rejects.toMatchObject({ code: 'BACKEND_TIMEOUT' });
    expect(standing.backendOf('a:1')).toBeUndefined();
  });

  it('is not sent to a backend that did not declare it', async () => {
    const { ask, asked } = make({ a: { resources: {} } });
    await expect(ask('subscribe', { uri: 'a:1' })).rejects.toMatchObject({ code: 'METHOD_NOT_FOUND' });
    await expect(ask('subscribe', { uri: 7 })).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
    expect(asked).toEqual([]);
  });
});
