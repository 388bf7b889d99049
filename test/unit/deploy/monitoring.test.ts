// What is shipped for Prometheus and Grafana speaks of metrics and labels that there are.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { FamilyDoc } from '../../../src/observability/families.js';
import { METRIC_DOCS } from '../../../src/observability/metric-docs.js';

const DEPLOY = join(__dirname, '../../../deploy');
/** Put there by Prometheus itself. */
const SCRAPED = ['job', 'instance'];
const HISTOGRAM_END = /_(bucket|sum|count)$/;

interface Use {
  readonly where: string;
  readonly expr: string;
  /** Where labels are named outside of the expression: annotations, legends. */
  readonly texts: readonly string[];
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

function readAlerts(): Rule[] {
  const { groups } = parse(readFileSync(join(DEPLOY, 'prometheus/alerts.yaml'), 'utf8')) as { groups: Array<{ rules: Rule[] }> };
  return groups.flatMap(({ rules }) => rules);
}

function readPanels(): Use[] {
  const board = JSON.parse(readFileSync(join(DEPLOY, 'grafana/berth.json'), 'utf8'));
  type Panel = { title: string; targets?: Array<{ expr: string; legendFormat: string }> };
  const panels = (board.panels as Panel[]).flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({ where: title, expr, texts: [legendFormat] })),
  );
  const notes = (board.annotations.list as Array<{ name: string; expr: string }>).map(({ name, expr }) => ({
    ...{ where: name, expr, texts: [] },
  }));
  return [...panels, ...notes];
}

/** What is wrong with a use; [] if nothing is. */
function faultsOf({ expr, texts }: Use): string[] {
  const faults: string[] = [];
  const known = new Set(SCRAPED);
  for (const [, name = '', selector = ''] of expr.matchAll(/\b(berth_\w+)(?:\{([^}]*)\})?/g)) {
    const doc = findMetric(name);
    if (!doc) {
      faults.push(`no metric ${name}`);
      continue;
    }
    const labels = [...doc.labels, ...SCRAPED, ...(name.endsWith('_bucket') ? ['le'] : [])];
    for (const label of labels) known.add(label);
    for (const [, label = ''] of selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)) {
      if (!labels.includes(label)) faults.push(`${name} has no label ${label}`);
    }
  }
  const named = [
    ...[...expr.matchAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(',')),
    ...texts.flatMap((text) => [...text.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)].map(([, label = '']) => label)),
  ];
  for (const label of named) if (!known.has(label.trim())) faults.push(`none of its metrics has the label ${label}`);
  return faults;
}

function findMetric(name: string): FamilyDoc | undefined {
  const exact = METRIC_DOCS.find((doc) => doc.name === name && doc.type !== 'histogram');
  return (
    exact ??
    METRIC_DOCS.find((doc) => doc.type === 'histogram' && doc.name === name.replace(HISTOGRAM_END, '') && doc.name !== name)
  );
}

test.each([
  ['sum by (worker) (berth_sessions)', []],
  ['berth_session', ['no metric berth_session']],
  ['berth_request_duration_seconds', ['no metric berth_request_duration_seconds']],
  ['sum by (le) (rate(berth_request_duration_seconds_bucket[5m]))', []],
  ['sum by (le) (berth_sessions)', ['none of its metrics has the label le']],
  ['berth_held_total{reason="x"}', ['berth_held_total has no label reason']],
])('%s is judged: %j', (expr, faults) => {
  expect(faultsOf({ where: '', expr, texts: [] })).toEqual(faults);
});

test('alerts use metrics and labels that there are, and say what to look at', () => {
  const alerts = readAlerts();
  for (const { alert, expr, labels, annotations } of alerts) {
    const { summary, description } = annotations;
    expect([alert, faultsOf({ where: alert, expr, texts: [summary, description] })]).toEqual([alert, []]);
    expect([alert, ['info', 'warning', 'critical'].includes(labels.severity), description.length > 20]).toEqual([
      alert,
      true,
      true,
    ]);
  }
  const names = alerts.map(({ alert }) => alert);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toEqual(
    expect.arrayContaining([
      ...['BerthNoWorkerReady', 'BerthLeaseNearItsEnd', 'BerthRedisDown', 'BerthTakeovers', 'BerthTeardownDeadLetters'],
      ...['BerthRequestsHeldInVain', 'BerthRequestsRefused', 'BerthBackendDown', 'BerthEventLoopLag', 'BerthSlowRequests'],
    ]),
  );
});

test('docs/operations.md says of each alert where to look, and how urgent it is', () => {
  const page = readFileSync(join(DEPLOY, '../docs/operations.md'), 'utf8');
  const rows = [...page.matchAll(/^\| (`Berth[^|]+) \| (\w+) \|/gm)];
  const listed = rows.flatMap(([, names = '', severity]) =>
    [...names.matchAll(/`(\w+)`/g)].map(([, name]) => `${name}: ${severity}`),
  );
  expect(listed.sort()).toEqual(
    readAlerts()
      .map(({ alert, labels }) => `${alert}: ${labels.severity}`)
      .sort(),
  );
});

test('the dashboard uses metrics and labels that there are, and shows every one but the version', () => {
  const uses = readPanels();
  for (const use of uses) expect([use.where, faultsOf(use)]).toEqual([use.where, []]);
  const shown = uses.map(({ expr }) => expr).join();
  const missing = METRIC_DOCS.map(({ name }) => name).filter((name) => !shown.includes(name));
  expect(missing).toEqual(['berth_build_info']);
});
