// A real Chromium, and a page of it that is watched for everything that should not happen in it.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { ADMIN_TOKEN } from './pod.js';

const ROOT = join(__dirname, '../..');
const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // A name of a stranger that leads here (DNS rebinding).
  '--host-resolver-rules=MAP rebound.example 127.0.0.1',
];

/** With a profile of its own, which ends with it. @throws Error that says how to install one */
export function startBrowser(): Promise<Browser> {
  const executablePath = execFileSync(process.execPath, [join(ROOT, 'scripts/obtain-browser.mjs')], { encoding: 'utf8' }).trim();
  return chromium.launch({ executablePath, args: ARGUMENTS });
}

export interface WatchedPage {
  readonly page: Page;
  /** Errors of the console, exceptions, what the policy stopped. Answers that are no success are told there, too, by the browser. */
  readonly problems: readonly string[];
  /** Paths and queries asked for. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

const FAILED_ANSWER = /^console: Failed to load resource/;

/** Of those: what the page itself did wrong. */
export const mistakes = ({ problems }: WatchedPage) => problems.filter((problem) => !FAILED_ANSWER.test(problem));

export async function openPage(
  browser: Browser,
  url: string,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 1000 }, ...options });
  const page = await context.newPage();
  const problems: string[] = [];
  const asked: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => problems.push(`exception: ${error.stack}`));
  page.on('dialog', (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => asked.push(new URL(request.url()).pathname + new URL(request.url()).search));
  await page.addInitScript({
    content: `document.addEventListener('securitypolicyviolation', (event) =>
      console.error('policy', event.violatedDirective, event.blockedURI));
      globalThis.loadedOnce = (globalThis.loadedOnce ?? 0) + 1;`,
  });
  await page.goto(url);
  return { page, problems, asked, close: () => context.close() };
}

export async function signIn(page: Page, token: string = ADMIN_TOKEN): Promise<void> {
  await page.getByLabel('Token', { exact: true }).fill(token);
  await page.getByRole('button', { name: 'Go on' }).click();
}

export interface Contrast {
  /** Texts that were looked at. */
  readonly checked: number;
  /** Those below WCAG AA. */
  readonly low: ReadonlyArray<{ readonly ratio: number; readonly bound: number; readonly text: string }>;
}

export const contrastOf = (page: Page): Promise<Contrast> =>
  page.evaluate(readFileSync(join(__dirname, 'fixtures/contrast.js'), 'utf8'));
