// Signals go to the group that was meant, or to nobody.
import { spawn } from 'node:child_process';
import { isGroupAlive, killGroup, readStartTime } from '../../../src/lifecycle/process-group.js';
import { waitFor } from '../../support/wait-for.js';

function sleeper(detached: boolean) {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached, stdio: 'ignore' });
  const pid = child.pid as number;
  return { child, group: { pid, startTime: readStartTime(pid) as string } };
}

test('a group is killed only while its leader is the process that was meant', async () => {
  const { child, group } = sleeper(true);
  expect(readStartTime(group.pid)).toBe(group.startTime);
  expect(killGroup({ ...group, startTime: 'another' }, 'SIGKILL')).toBe(false);
  expect(isGroupAlive({ ...group, startTime: 'another' })).toBe(false);
  expect(isGroupAlive(group)).toBe(true);
  expect(killGroup(group, 'SIGKILL')).toBe(true);
  await waitFor('the exit', () => child.signalCode === 'SIGKILL');
  expect(readStartTime(group.pid)).toBeUndefined();
  expect(killGroup(group, 'SIGKILL')).toBe(false);
  expect(isGroupAlive(group)).toBe(false);
});

test('a process that leads no group is killed alone', async () => {
  const { child, group } = sleeper(false);
  expect(killGroup(group, 'SIGKILL')).toBe(true);
  await waitFor('the exit', () => child.signalCode === 'SIGKILL');
});

test.each([0, 1, -1, 1.5, Number.NaN])('pid %p means somebody else: nothing is signalled', (pid) => {
  expect(killGroup({ pid, startTime: '1' }, 'SIGTERM')).toBe(false);
  expect(isGroupAlive({ pid, startTime: '1' })).toBe(false);
});

test('two processes differ in their start time or their pid', () => {
  expect(readStartTime(process.pid)).toMatch(/\S/);
  expect(readStartTime(2 ** 30)).toBeUndefined();
});
