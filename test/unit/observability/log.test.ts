import { makeLogger, makePlainLines } from '../../../src/observability/log.js';

function collect() {
  const lines: string[] = [];
  return { lines, destination: { write: (line: string) => void lines.push(line) } };
}

const json = { level: 'info', format: 'json', isTty: false } as const;

describe('the log', () => {
  it('writes one JSON line with level, time, worker and fields', () => {
    const { lines, destination } = collect();
    makeLogger({ ...json, worker: 3, destination }).info({ session: 'abc' }, 'request');
    expect(lines).toHaveLength(1);
    const line = JSON.parse(lines[0] as string);
    expect(line).toMatchObject({ level: 'info', worker: 3, session: 'abc', msg: 'request' });
    expect(Date.parse(line.time)).not.toBeNaN();
    expect(line).not.toHaveProperty('hostname');
  });

  it('leaves out what is below the level', () => {
    const { lines, destination } = collect();
    makeLogger({ ...json, destination }).debug('detail');
    expect(lines).toEqual([]);
  });

  it.each(['authorization', 'cookie', 'set-cookie', 'mcp-session-id', 'x-api-key'])(
    'redacts %s wherever headers stand',
    (name) => {
      const { lines, destination } = collect();
      const headers = { [name]: 'secret-value', accept: 'text/html' };
      makeLogger({ ...json, destination }).info({ headers, ...headers, req: { headers } }, 'x');
      expect(lines[0]).not.toContain('secret-value');
      expect(lines[0]).toContain('text/html');
    },
  );

  it('is readable in a terminal, on one line, and tells the worker', () => {
    const { lines, destination } = collect();
    makeLogger({ level: 'info', format: 'auto', isTty: true, worker: 1, destination }).info({ url: 'http://x/' }, 'ready');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('[1] ready');
    expect(lines[0]).toContain('http://x/');
    expect(() => JSON.parse(lines[0] as string)).toThrow();
  });

  it('keeps JSON in a terminal when asked', () => {
    const { lines, destination } = collect();
    makeLogger({ ...json, isTty: true, destination }).info('x');
    expect(JSON.parse(lines[0] as string).msg).toBe('x');
  });
});

it('gives its children every later level', () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = makeLogger({ level: 'info', format: 'json', isTty: false, destination });
  const child = log.child({ backend: 'a' }).child({ part: 'b' });
  child.debug('before');
  log.level = 'debug';
  child.debug('after');
  log.level = 'warn';
  child.info('quiet');
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['after']);
});

describe('plain lines', () => {
  const fields = {
    method: 'tools/call',
    server: '',
    owner: 'a"b\\c\n\u2028\ud800 é',
    epoch: 3,
    backend: undefined,
    durationMs: 0.1,
  };
  const withoutTime = (line: string | undefined) => line?.replace(/"time":"[^"]+"/, '"time":""');

  it('are to the byte what pino writes, also of children', () => {
    const { lines, destination } = collect();
    const log = makeLogger({ ...json, worker: 3, destination });
    for (const one of [log, log.child({ part: 'x' })]) {
      one.info(fields, 'a "request"');
      makePlainLines(one, 'a "request"')(fields);
    }
    expect(lines).toHaveLength(4);
    expect(withoutTime(lines[1])).toBe(withoutTime(lines[0]));
    expect(withoutTime(lines[3])).toBe(withoutTime(lines[2]));
    expect(JSON.parse(lines[1] as string)).toMatchObject({ worker: 3, owner: fields.owner, epoch: 3 });
  });

  it('follow the level, and are readable in a terminal', () => {
    const { lines, destination } = collect();
    const log = makeLogger({ level: 'warn', format: 'pretty', isTty: true, worker: 1, destination });
    const write = makePlainLines(log, 'request');
    write(fields);
    expect(lines).toEqual([]);
    log.level = 'info';
    write(fields);
    expect(lines[0]).toContain('[1] request');
  });
});
