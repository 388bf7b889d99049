// How values read on the page. Knows no DOM.

/** What turns, hides or breaks text: controls, marks of direction, invisible characters, lone halves of characters. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Text of strangers with every character that cannot be seen written out: `ab` cannot pose as `ba`, nor an empty name as none.
 * @param {unknown} text
 */
export function visible(text) {
  return String(text ?? '').replace(UNSEEN, (sign) => `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`);
}

/** @param {number} seconds */
export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return pair(Math.floor(s / 3600), 'h', Math.floor((s % 3600) / 60), 'min');
  return pair(Math.floor(s / 86_400), 'd', Math.floor((s % 86_400) / 3600), 'h');
}

const pair = (big, bigUnit, small, smallUnit) => (small ? `${big} ${bigUnit} ${small} ${smallUnit}` : `${big} ${bigUnit}`);

/**
 * @param {string | null | undefined} iso a moment
 * @param {number} nowMs as the gateway has it
 * @returns '' if there is none
 */
export function ageOf(iso, nowMs) {
  const ms = Date.parse(iso ?? '');
  return Number.isNaN(ms) ? '' : duration((nowMs - ms) / 1000);
}

/**
 * What is still to come: `in 12 s`, or `now`.
 * @param {string | null | undefined} iso
 * @param {number} nowMs
 */
export function untilText(iso, nowMs) {
  const ms = Date.parse(iso ?? '');
  if (Number.isNaN(ms)) return '';
  return ms <= nowMs ? 'now' : `in ${duration((ms - nowMs) / 1000)}`;
}

/** Local time of day. @param {number} ms */
export function clockTime(ms) {
  const date = new Date(ms);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

/** @param {number | null | undefined} value */
export const count = (value) => (typeof value === 'number' ? value.toLocaleString('en-US').replaceAll(',', '\u202f') : '–');

/** @param {number} value @param {string} one @param {string} [many] */
export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** What clients and links call it. @param {string} id of a virtual server */
export const serverName = (id) => (id === '' ? '/mcp' : id);

/** The name of a worker, which stays when it is replaced, and its incarnation. @param {string} id */
export function splitWorker(id) {
  const dot = id.indexOf('.');
  return dot < 0 ? { name: id, incarnation: '' } : { name: id.slice(0, dot), incarnation: id.slice(dot) };
}

/** @param {{ name: unknown, version: unknown } | undefined} client */
export function clientName(client) {
  const parts = [client?.name, client?.version].filter((part) => part !== null && part !== undefined && part !== '');
  return parts.map(visible).join(' ');
}
