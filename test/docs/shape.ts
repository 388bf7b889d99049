// What of a printed line is the same in every run: words stay; ids, numbers and the gaps of tables do not.

/** Two lines of the same shape are what a document shows and what a reader sees. */
export const shapeOf = (line: string): string =>
  line
    .trim()
    .replace(/https?:\/\/\S+/g, 'URL')
    // An id holds digits or capitals in its middle; a long word does not.
    .replace(/[\w-]{20,}(\.\w+)?|\b[\w-]{8}…/g, 'ID')
    .replace(/\d+(\.\d+)*/g, 'N')
    .replace(/\bN(ms|[smhd])\b/g, 'TIME')
    .replace(/\s+/g, ' ');
