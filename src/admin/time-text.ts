/** A moment as the admin API tells it: ISO 8601, UTC. What no Date can hold (a record may say anything) becomes the nearest it can. */
export function timeText(ms: number): string {
  const limit = 8.64e15;
  return new Date(Number.isFinite(ms) ? Math.min(limit, Math.max(-limit, ms)) : 0).toISOString();
}
