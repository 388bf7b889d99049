// What was started is ended, whatever happens on the way.
import { Stages } from '../../../src/cluster/stages.js';

function makeStages() {
  const told: unknown[] = [];
  const stages = new Stages({ error: (fields: unknown) => void told.push(fields) } as never);
  return { stages, told };
}

test('the last stage ends first, each after the one before it has ended', async () => {
  const { stages } = makeStages();
  const ends: string[] = [];
  for (const name of ['redis', 'workers', 'admin']) {
    stages.add(name, async () => {
      ends.push(`${name} ends`);
      await Promise.resolve();
      ends.push(`${name} has ended`);
    });
  }
  await stages.end();
  expect(ends).toEqual(['admin ends', 'admin has ended', 'workers ends', 'workers has ended', 'redis ends', 'redis has ended']);
});

test('one that cannot be ended is told, and the others end all the same', async () => {
  const { stages, told } = makeStages();
  const ends: string[] = [];
  stages.add('redis', () => void ends.push('redis'));
  stages.add('workers', () => Promise.reject(new Error('they hang')));
  await stages.end();
  expect(ends).toEqual(['redis']);
  expect(told).toEqual([{ stage: 'workers', error: 'Error: they hang' }]);
});

test('a start that is interrupted goes no further, with the first reason', async () => {
  const { stages } = makeStages();
  await expect(stages.unlessInterrupted(Promise.resolve('up'))).resolves.toBe('up');
  const step = stages.unlessInterrupted(new Promise(() => undefined));
  stages.interrupt(new Error('SIGTERM'));
  stages.interrupt(new Error('too late'));
  await expect(step).rejects.toThrow('SIGTERM');
  await expect(stages.unlessInterrupted(new Promise(() => undefined))).rejects.toThrow('SIGTERM');
});
