// The reference server of the protocol, as users run it.
import { join } from 'node:path';
import { waitFor } from '../../support/wait-for.js';
import { isAlive } from '../../support/processes.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { callTool, Caller, Fixture, soon } from './harness.js';

const COMMAND = join(__dirname, '../../../node_modules/.bin/mcp-server-everything');

test('the everything server opens, lists, calls, reports progress and ends without a trace', async () => {
  const fixture = new Fixture({ command: COMMAND, args: ['stdio'] });
  const { session } = fixture.session();
  const info = await session.open(soon());
  expect(info.capabilities).toHaveProperty('tools');
  const list = await new Caller(session, { id: 1, method: 'tools/list' }).response;
  const names: string[] = list.result.tools.map(({ name }: { name: string }) => name);
  expect(names).toContain('echo');
  const echo = await callTool(session, 2, 'echo', { message: 'hello' }).response;
  expect(echo.result.content[0].text).toContain('hello');
  const long = names.find((name) => /long-?running/i.test(name)) as string;
  const running = callTool(session, 3, long, { duration: 1, steps: 2 }, { progressToken: 'p' });
  await running.response;
  expect(running.progress.length).toBeGreaterThanOrEqual(2);
  session.close(new GatewayError('SESSION_NOT_FOUND'));
  await waitFor('the child to be gone', () => !isAlive(fixture.lastPid));
  await fixture.backend.close();
});
