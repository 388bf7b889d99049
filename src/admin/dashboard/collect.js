// One round of questions: what was answered, and what to say of the rest. Knows no DOM.

import { ApiFailure } from './api-client.js';

/** What keeps the page from working at all stands before what concerns one question. */
const WORST_FIRST = ['token', 'refused', 'silent'];

/**
 * @param {Record<string, () => Promise<unknown>>} questions
 * @returns {Promise<{ answers: Record<string, any>, failures: Record<string, any>, failure: any }>} `failure`: the worst, or undefined
 */
export async function collect(questions) {
  /** @type {Record<string, any>} */
  const answers = {};
  /** @type {Record<string, any>} */
  const failures = {};
  await Promise.all(
    Object.entries(questions).map(async ([name, ask]) => {
      try {
        answers[name] = await ask();
      } catch (error) {
        // Nothing but the API fails in a way that may be tried again for ever.
        if (!(error instanceof ApiFailure)) throw error;
        failures[name] = error;
      }
    }),
  );
  const all = Object.values(failures);
  const failure = WORST_FIRST.map((kind) => all.find((one) => one.kind === kind)).find(Boolean);
  return { answers, failures, failure };
}

/** Without an answer for this long it is told, though the question is still under way, ms. */
export const LATE_MS = 6000;

/**
 * @param {any} failure of the last round
 * @param {{ lastMs: number | undefined, sinceMs: number, nowMs: number }} times `lastMs`: last answer; `sinceMs`: anybody asks since
 */
export function orLate(failure, { lastMs, sinceMs, nowMs }) {
  if (failure) return failure;
  const isLate = nowMs - Math.max(lastMs ?? 0, sinceMs) > LATE_MS;
  return isLate ? { kind: 'silent', message: '', code: '' } : undefined;
}
