// The dashboard in a real browser, on two pods with real clients: what it shows, that it follows what happens to workers, backends and
// sessions without being loaded anew, and what it does when it is told to.
import type { Browser, Page } from 'playwright-core';
import { referenceOf, type SessionId } from '../../src/protocol/ids.js';
import { askAdmin } from '../support/admin.js';
import { contrastOf, mistakes, openPage, signIn, startBrowser, type WatchedPage } from '../support/browser.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { ADMIN_TOKEN, type Pod } from '../support/pod.js';
import { killNow } from '../support/processes.js';
import { openSession, rpc, sendRaw } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient, type SdkClient } from '../support/sdk-client.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/tools/mcp';
const SEEN_WITHIN_MS = 20_000;
const IMAGE = '<img src=x onerror=alert(1)>';
const LONG = `\u202egnol\u202c ${'n'.repeat(300)}`;

let browser: Browser;
let backend: RecordingBackend;
let mortal: RecordingBackend;
let cluster: Cluster;
let clients: SdkClient[];
let watched: WatchedPage;
let page: Page;
let refusesDelete = false;

beforeAll(async () => {
  browser = await startBrowser();
  backend = await startRecordingBackend({ authorize: ({ method }) => !(refusesDelete && method === 'DELETE') });
  mortal = await startRecordingBackend();
  cluster = await startCluster({
    config: {
      mcpServers: { recorder: { type: 'http', url: backend.url }, mortal: { type: 'http', url: mortal.url } },
      servers: { tools: { backends: ['recorder'] } },
    },
  });
  clients = [];
  for (const name of ['first', 'second', IMAGE, LONG]) {
    const client = await connectSdkClient(cluster.url(PATH), { name });
    await client.callText('echo', { nonce: name });
    clients.push(client);
  }
  watched = await openPage(browser, pods()[0].adminUrl('/'));
  page = watched.page;
  await signIn(page);
  await page.getByText('Live', { exact: true }).waitFor({ timeout: SEEN_WITHIN_MS });
}, 240_000);

afterAll(async () => {
  await watched?.close();
  await browser?.close();
  for (const client of clients ?? []) await client.close();
  await cluster?.dispose();
  await backend?.close();
  await mortal?.close();
}, 120_000);

afterEach(() => expect(mistakes(watched)).toEqual([]));

const pods = () => cluster.pods as unknown as readonly [Pod, Pod];
const refOf = (sessionId: string) => referenceOf(sessionId as SessionId);
const clientAt = (index: number) => clients[index] as SdkClient;
const rowOf = (sessionId: string) => page.locator('#sessions tbody tr', { hasText: refOf(sessionId) });
const cellOf = (sessionId: string, label: string) => rowOf(sessionId).locator(`td[data-label="${label}"] > div`);
const workerRow = (pid: number) =>
  page.locator('#workers tbody tr').filter({ has: page.locator('td[data-label="Pid"]', { hasText: new RegExp(`^${pid}$`) }) });
const figure = (key: string) => page.locator(`[data-figure="${key}"] .value`).innerText();

function seen(what: string, probe: () => Promise<boolean>): Promise<boolean> {
  return waitFor(`the page to show ${what}`, probe, SEEN_WITHIN_MS);
}

test('it shows the cluster: workers of both pods, sessions with their clients, backends, servers', async () => {
  await seen('four clients', async () => (await page.locator('#sessions tbody tr').count()) === 4);
  expect(await page.locator('#workers tbody tr').count()).toBe(4);
  expect([await figure('workers'), await figure('sessions'), await figure('redis')]).toEqual(['4', '4', 'answers']);
  expect(await page.locator('#version').innerText()).toMatch(/^\d+\.\d+\.\d+$/);
  const { body } = await askAdmin(pods()[1], `/api/sessions/${refOf(clientAt(0).sessionId)}`);
  expect(await cellOf(clientAt(0).sessionId, 'Owner').innerText()).toBe(body.owner.split('.')[0]);
  expect(await cellOf(clientAt(0).sessionId, 'Client').innerText()).toBe('first 1.0.0');
  expect(await cellOf(clientAt(0).sessionId, 'Backends').innerText()).toBe('recorder');
  expect(await page.locator('#servers tbody tr', { hasText: PATH }).count()).toBe(1);
  expect(await page.locator('#backends summary', { hasText: 'recorder' }).innerText()).toContain('up');
  // The token went nowhere but into the header.
  expect(watched.asked.join()).not.toContain(ADMIN_TOKEN);
  expect(await page.evaluate('document.cookie + JSON.stringify(localStorage)')).not.toContain(ADMIN_TOKEN);
});

test('what clients call themselves is text: markup does nothing, text that runs backwards is written out, long names are cut', async () => {
  expect(await cellOf(clientAt(2).sessionId, 'Client').innerText()).toBe(`${IMAGE} 1.0.0`);
  expect(await page.locator('main img').count()).toBe(0);
  expect(await cellOf(clientAt(3).sessionId, 'Client').innerText()).toMatch(/^\\u\{202e\}gnol\\u\{202c\} n+/);
  const widths = await page.evaluate('[document.documentElement.scrollWidth, innerWidth]');
  expect(widths).toEqual([1400, 1400]);
});

test('a page of sessions at a time, by filters; a number of sessions leads to them', async () => {
  const opened = await Promise.all(Array.from({ length: 26 }, () => openSession(pods()[1].origin, PATH)));
  expect(watched.asked.filter((path) => path.startsWith('/api/sessions')).every((path) => path.includes('limit=50'))).toBe(true);
  await page.getByLabel('A page', { exact: true }).selectOption('25');
  await seen('25 of 30', async () => (await page.locator('#sessions tbody tr').count()) === 25);
  const pager = page.getByRole('navigation', { name: 'Pages of sessions' });
  await pager.getByRole('button', { name: 'Next' }).click();
  await seen('the other 5', async () => (await page.locator('#sessions tbody tr').count()) === 5);
  await pager.getByRole('button', { name: 'Back' }).click();
  await seen('25 again', async () => (await page.locator('#sessions tbody tr').count()) === 25);
  await page.getByLabel('A page', { exact: true }).selectOption('50');

  const worker = (await askAdmin(pods()[0], '/api/workers')).body.workers.find(
    ({ sessions }: { sessions: number }) => sessions > 0,
  );
  await page
    .locator('#workers tbody tr', { hasText: String(worker.pid) })
    .getByRole('button')
    .click();
  await seen(`${worker.sessions} of one worker`, async () => {
    const owners = await page.locator('#sessions td[data-label="Owner"] > div').allInnerTexts();
    return owners.length === worker.sessions && owners.every((owner) => owner === worker.id.split('.')[0]);
  });
  await page.getByLabel('Owner', { exact: true }).selectOption('*');
  await page.getByLabel('Server', { exact: true }).selectOption('recorder');
  await seen('none of another server', async () => (await page.locator('#sessions tbody tr').count()) === 0);
  await page.getByLabel('Server', { exact: true }).selectOption('*');
  for (const sessionId of opened) await askAdmin(pods()[0], `/api/sessions/${refOf(sessionId)}`, 'DELETE');
  await seen('the four again', async () => (await page.locator('#sessions tbody tr').count()) === 4);
});

test('a worker is killed: it is shown as gone, its session at another owner; focus and open details stay where they are', async () => {
  const { sessionId } = clientAt(0);
  const owner = await cluster.ownerOf(sessionId);
  const other = clients.find((client) => client !== clientAt(0)) as SdkClient;
  await page.locator('#backends summary', { hasText: 'recorder' }).click();
  const end = rowOf(other.sessionId).getByRole('button', { name: 'End' });
  await end.focus();
  const before = watched.problems.length;

  killNow(owner.pid);
  const killed = workerRow(owner.pid);
  await seen('it gone', async () => (await killed.locator('.badge').innerText()) === 'gone');
  await clientAt(0).callText('echo', { nonce: 'after' });
  const now = await cluster.ownerOf(sessionId);
  expect(now.worker).not.toBe(owner.worker);
  await seen('the new owner', async () => (await cellOf(sessionId, 'Owner').innerText()) === now.worker.split('.')[0]);
  expect(Number(await cellOf(sessionId, 'Epoch').innerText())).toBe(now.epoch);
  await seen('four workers again', async () => (await figure('workers')) === '4');

  expect(await page.locator('#backends details[open] summary', { hasText: 'recorder' }).count()).toBe(1);
  const focused = await page.evaluate("document.activeElement.getAttribute('aria-label')");
  expect(focused).toBe(`End session ${refOf(other.sessionId)}`);
  expect(await page.evaluate('loadedOnce')).toBe(1);
  expect(watched.problems.slice(before)).toEqual([]);
  await page.locator('#backends summary', { hasText: 'recorder' }).click();
}, 90_000);

test('a session is ended: after a question, and its client gets 404 within a second of the answer', async () => {
  const { sessionId } = clientAt(1);
  const end = () => rowOf(sessionId).getByRole('button', { name: 'End' });
  await end().click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  expect(await rowOf(sessionId).count()).toBe(1);
  expect((await sendRaw(cluster.url('/'), rpc(PATH, sessionId, 'tools/list'))).status).toBe(200);

  await end().click();
  expect(await page.locator('#confirm').innerText()).toContain('second 1.0.0');
  await page.locator('#confirm').getByRole('button', { name: 'End session' }).click();
  await page.getByText(`Session ${refOf(sessionId)} has ended`).waitFor({ timeout: SEEN_WITHIN_MS });
  const gone = async () => (await sendRaw(cluster.url('/'), rpc(PATH, sessionId, 'tools/list'))).status === 404;
  await waitFor('404 for the client', gone, 1000);
  await seen('one session less', async () => (await rowOf(sessionId).count()) === 0);
  // The button that was focused is gone with its row: whoever uses the keyboard is not thrown to the top.
  expect(await page.evaluate('document.activeElement.id')).toBe('sessions-title');
});

test('a teardown that was refused is told with its reason; it is tried again, another one dropped', async () => {
  refusesDelete = true;
  const ended = [await connectSdkClient(cluster.url(PATH)), await connectSdkClient(cluster.url(PATH))];
  for (const client of ended) {
    await client.callText('echo', { nonce: 'x' });
    await client.end();
  }
  const rows = page.locator('#teardowns tbody tr');
  await seen('two dead letters', async () => (await rows.count()) === 2);
  expect(await rows.first().innerText()).toMatch(/recorder\s+refused/);
  expect(await figure('teardowns')).toBe('2');
  refusesDelete = false;
  await rows.first().getByRole('button', { name: 'Retry' }).click();
  await page.getByText('The teardown at recorder is tried again').waitFor({ timeout: SEEN_WITHIN_MS });
  await seen('one left', async () => (await rows.count()) === 1);
  await rows.first().getByRole('button', { name: 'Drop' }).click();
  await page.locator('#confirm').getByRole('button', { name: 'Drop' }).click();
  await page.getByText('The teardown at recorder was dropped').waitFor({ timeout: SEEN_WITHIN_MS });
  await seen('none', async () => (await rows.count()) === 0 && (await figure('teardowns')) === '0');
}, 90_000);

test('a backend dies: its state and the reason are shown, and what each worker says of it', async () => {
  const session = await connectSdkClient(cluster.url('/servers/mortal/mcp'));
  await session.callText('echo', { nonce: 'alive' });
  const summary = page.locator('#backends summary', { hasText: 'mortal' });
  await seen('it up', async () => (await summary.locator('.badge').innerText()) === 'up');
  await mortal.close();
  await seen('it down, with the reason', async () => {
    await session.callText('echo', { nonce: 'dead' }).catch(() => undefined);
    return (
      (await summary.locator('.badge').innerText()) === 'down' && (await summary.locator('.reason').innerText()) === 'refused'
    );
  });
  expect(await page.locator('[data-figure="backends"] .note').innerText()).toContain('1 down');
  await summary.click();
  const row = page.locator('#backends details[open] tbody tr', { hasText: 'refused,' }).first();
  expect(await row.locator('td[data-label="Last error"]').innerText()).toMatch(/^refused, .* ago$/);
  expect(await row.locator('td[data-label="Next probe"]').innerText()).toMatch(/^(in \d+|now)/);
  await session.close();
}, 90_000);

test('light and dark, wide and narrow: contrast of AA, no sideways scrolling, and the choice is remembered', async () => {
  const shots: Buffer[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const { checked, low } = await contrastOf(page);
    expect(checked).toBeGreaterThan(50);
    expect([colorScheme, low]).toEqual([colorScheme, []]);
    shots.push(await page.screenshot());
  }
  expect(shots[0]?.equals(shots[1] as Buffer)).toBe(false);
  const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
  const dark = await ground();
  await page.getByLabel('Theme', { exact: true }).selectOption('light');
  expect(await ground()).not.toBe(dark);
  await page.reload();
  expect([await page.getByLabel('Theme', { exact: true }).inputValue(), await ground()]).not.toContain(dark);
  await page.setViewportSize({ width: 360, height: 800 });
  // The token outlives a reload of its tab.
  await seen('the sessions', async () => (await rowOf(clientAt(0).sessionId).count()) === 1);
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
  // Cards cut off what is too wide: nothing may be.
  const beyond = await page.evaluate(`[...document.querySelectorAll('header, main *:not(thead, thead *, .unseen)')]
    .filter((element) => element.getBoundingClientRect().right > innerWidth).map((element) => element.outerHTML.slice(0, 80))`);
  expect(beyond).toEqual([]);
  expect((await contrastOf(page)).low).toEqual([]);
});
