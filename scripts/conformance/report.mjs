// What the results of all subjects come to: a table to read, and a verdict on every scenario of every subject.

/**
 * @param title of the first column
 * @param results by subject, then by scenario: `{ passed, failed, messages }`. `direct` is the backend (or the client) without a gateway
 * @param isScored whether a scenario counts for the suite
 */
export class Report {
  #title;
  #results;
  #isScored;

  constructor(title, results, isScored = () => true) {
    this.#title = title;
    this.#results = results;
    this.#isScored = isScored;
  }

  get #subjects() {
    return Object.keys(this.#results);
  }

  get #scenarios() {
    return [...new Set(this.#subjects.flatMap((name) => Object.keys(this.#results[name])))];
  }

  /** In Markdown. */
  table() {
    const subjects = this.#subjects;
    const rows = this.#scenarios.map((scenario) => [
      this.#isScored(scenario) ? scenario : `${scenario} (not scored)`,
      ...subjects.map((name) => cell(this.#results[name][scenario])),
    ]);
    const total = (text, scored) => {
      const counts = subjects.map((name) => this.#count(name, scored));
      return counts.some(({ all }) => all > 0) ? [[text, ...counts.map(({ fine, all }) => `${fine}/${all}`)]] : [];
    };
    const line = (cells) => `| ${cells.join(' | ')} |`;
    return [
      line([this.#title, ...subjects]),
      `|${'---|'.repeat(subjects.length + 1)}`,
      ...rows.map(line),
      ...total('**scored scenarios passed**', true).map(line),
      ...total('**others passed**', false).map(line),
    ].join('\n');
  }

  /**
   * One verdict each: `passed`, `failed`, or `skipped` for what is not scored and fails directly as well.
   * @returns `[{ subject, scenario, verdict, messages }]`
   */
  verdicts() {
    return this.#subjects.flatMap((subject) =>
      Object.entries(this.#results[subject]).map(([scenario, { failed, messages }]) => {
        const fails = () => (this.#isScored(scenario) || this.#results.direct?.[scenario]?.failed === 0 ? 'failed' : 'skipped');
        return { subject, scenario, verdict: failed === 0 ? 'passed' : fails(), messages };
      }),
    );
  }

  #count(name, scored) {
    const all = Object.entries(this.#results[name]).filter(([scenario]) => this.#isScored(scenario) === scored);
    return { fine: all.filter(([, { failed }]) => failed === 0).length, all: all.length };
  }
}

function cell(result) {
  if (result === undefined) return '–';
  return result.failed === 0 ? `${result.passed}` : `${result.passed}, **${result.failed} failed**`;
}
