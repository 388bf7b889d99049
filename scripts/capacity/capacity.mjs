// npm run capacity: what so many live sessions need, by the model of docs/capacity.md. Any coefficient or assumption of docs/capacity.json
// may be given anew. Exit code 64: bad usage.
import { parseArgs } from 'node:util';
import { estimate, readCapacity } from './model.mjs';
import { givenOf, ROWS } from './page.mjs';

const file = readCapacity();
const LOAD = { sessions: '10000', rate: '1', streams: '0.2', lifetime: '60' };
const USAGE = `usage: npm run capacity -- --sessions N [--rate 1] [--streams 0.2] [--lifetime 60] [--set name=value]… [--json]
  --sessions N   live sessions
  --rate R       requests of each a minute
  --streams F    share with an open GET stream, 0 to 1
  --lifetime M   minutes from the first request of a session to its end
  --set n=v      a coefficient or assumption: ${[...Object.keys(file.coefficients), ...Object.keys(file.assumptions)].join(', ')}
`;

function fail(reason) {
  process.stderr.write(`${reason ? `${reason}\n` : ''}${USAGE}`);
  process.exit(64);
}

function readOptions() {
  const loads = Object.fromEntries(Object.entries(LOAD).map(([name, value]) => [name, { type: 'string', default: value }]));
  try {
    const options = { ...loads, set: { type: 'string', multiple: true, default: [] }, json: { type: 'boolean', default: false } };
    return parseArgs({ options }).values;
  } catch (error) {
    return fail(error.message);
  }
}

if (process.argv.length === 2) fail('');
const values = readOptions();
const load = Object.fromEntries(Object.keys(LOAD).map((name) => [name, Number(values[name])]));
if (!(load.sessions >= 1 && load.rate >= 0 && load.streams >= 0 && load.streams <= 1 && load.lifetime > 0)) {
  fail('sessions from 1, rate from 0, streams from 0 to 1, lifetime above 0');
}
const given = givenOf(file);
for (const pair of values.set) {
  const [name, value] = pair.split('=');
  if (!(name in given) || !(Number(value) >= 0)) fail(`${pair}: neither a coefficient nor an assumption, or no number`);
  given[name] = Number(value);
}
const result = estimate(load, given);
const width = Math.max(...ROWS.map(([label]) => label.length));
process.stdout.write(
  values.json
    ? `${JSON.stringify({ load, ...result }, undefined, 2)}\n`
    : `${ROWS.map(([label, show]) => `${label.padEnd(width)}  ${show(result)}`).join('\n')}\n`,
);
