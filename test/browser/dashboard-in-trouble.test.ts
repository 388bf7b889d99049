// The dashboard when it may not ask, or is not answered.
import type { Browser } from 'playwright-core';
import { contrastOf, mistakes, openPage, signIn, startBrowser } from '../support/browser.js';
import { type Pod, startPod } from '../support/pod.js';
import { waitFor } from '../support/wait-for.js';

const SEEN_WITHIN_MS = 30_000;
const CONFIG = { mcpServers: {}, workers: 1, hosts: [] };

let browser: Browser;
let guarded: Pod;
let open: Pod;

beforeAll(async () => {
  browser = await startBrowser();
  [guarded, open] = await Promise.all([startPod({ config: CONFIG }), startPod({ config: { ...CONFIG, admin: { token: '' } } })]);
}, 240_000);

afterAll(async () => {
  await browser?.close();
  await guarded?.dispose();
  await open?.dispose();
}, 120_000);

test('it asks for the token: a wrong one is refused in words, the right one lasts as long as the tab, and can be forgotten', async () => {
  const watched = await openPage(browser, guarded.adminUrl('/'));
  const { page } = watched;
  await page.getByText('Waiting for the admin token').waitFor();
  expect((await contrastOf(page)).low).toEqual([]);
  await page.keyboard.press('Escape');
  expect(await page.locator('#sign-in').isVisible()).toBe(true);
  await signIn(page, 'two words');
  await page.getByText('A token has no blanks').waitFor();
  await signIn(page, 'wrong');
  await page.getByText('This is not the token of this gateway').waitFor({ timeout: SEEN_WITHIN_MS });
  expect(await page.locator('#sessions tbody tr').count()).toBe(0);
  const asked = watched.asked.length;
  await signIn(page);
  await page.getByText('Live', { exact: true }).waitFor({ timeout: SEEN_WITHIN_MS });
  expect(watched.asked.length).toBeGreaterThan(asked);
  expect(page.url()).toBe(guarded.adminUrl('/'));
  await page.reload();
  await page.getByText('Live', { exact: true }).waitFor({ timeout: SEEN_WITHIN_MS });
  const other = await page.context().newPage();
  await other.goto(guarded.adminUrl('/'));
  await other.getByText('Waiting for the admin token').waitFor({ timeout: SEEN_WITHIN_MS });
  await page.getByRole('button', { name: 'Forget token' }).click();
  await page.getByText('Waiting for the admin token').waitFor({ timeout: SEEN_WITHIN_MS });
  expect(mistakes(watched)).toEqual([]);
  await watched.close();
}, 90_000);

test('without a token it is there at once; under the name of a stranger (DNS rebinding) it is not, and says what to do', async () => {
  const watched = await openPage(browser, open.adminUrl('/'));
  await watched.page.getByText('Live', { exact: true }).waitFor({ timeout: SEEN_WITHIN_MS });
  expect(await watched.page.locator('#sign-out').isVisible()).toBe(false);
  const foreign = await watched.page.goto(open.adminUrl('/').replace('127.0.0.1', 'rebound.example'));
  expect(foreign?.status()).toBe(403);
  expect(await watched.page.locator('body').innerText()).toContain('set publicUrl or hosts');
  expect(mistakes(watched)).toEqual([]);
  await watched.close();
});

test('the gateway hangs, and is started anew: the page says since when, keeps what it had, and goes on by itself', async () => {
  const watched = await openPage(browser, guarded.adminUrl('/'));
  const { page } = watched;
  await signIn(page);
  const state = page.locator('#state');
  const says = (what: RegExp) =>
    waitFor(`the page to say ${what}`, async () => what.test(await state.innerText()), SEEN_WITHIN_MS);
  await says(/^Live$/);
  const { pid } = guarded;
  const rows = await page.locator('#workers tbody tr').count();
  guarded.signal('SIGSTOP');
  try {
    await says(/has not answered since \d\d:\d\d:\d\d/);
    expect(await page.locator('#workers tbody tr').count()).toBe(rows);
    expect(await page.locator('main[data-old]').count()).toBe(1);
    expect((await contrastOf(page)).low).toEqual([]);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await says(/^Live$/);
  expect(await page.locator('main[data-old]').count()).toBe(0);

  const { dir } = guarded;
  await guarded.dispose({ keepDir: true });
  await says(/has not answered since/);
  guarded = await startPod({ config: CONFIG, dir });
  await says(/^Live$/);
  expect(await page.evaluate('loadedOnce')).toBe(1);
  expect(mistakes(watched)).toEqual([]);
  await watched.close();
}, 180_000);
