// What of a printed line is the same in every run: words stay; ids, numbers and the gaps of tables do not.

/** Two lines of the same shape are what a document shows and what a reader sees. */
export const shapeOf = (line: string): string =>
  line
    .trim()
    .replace(/https?:\/\/\S+/g, 'URL')
    // A worker: its primary, its index, its incarnation.
    .replace(/\b[0-9a-f]{12}-\d+\.[\w-]+/g, 'ID')
    // A session, a hash; the beginning of an id.
    .replace(/[\w-]{20,}|\b[\w-]{8}…/g, 'ID')
    .replace(/\d+(\.\d+)*/g, 'N')
    .replace(/\bN(ms|[smhd])\b/g, 'TIME')
    .replace(/\s+/g, ' ');
