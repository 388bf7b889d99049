// A changed file is told once, when who writes it has finished.
import { ConfigWatch } from '../../../src/cluster/config-watch.js';
import { FakeClock } from '../../support/fake-clock.js';

async function watch(first: string | undefined) {
  const clock = new FakeClock();
  const file = { is: first };
  let told = 0;
  const watching = new ConfigWatch({ file: 'f', clock, onChanged: () => told++, look: async () => file.is });
  await watching.start();
  return {
    watching,
    clock,
    /** @returns how often it was told in all, after one more look */
    async look(is: string | undefined) {
      file.is = is;
      clock.advance(2000);
      await new Promise((resolve) => setImmediate(resolve));
      return told;
    },
  };
}

it('is told after it stayed the same for one further look', async () => {
  const { look } = await watch('a');
  expect(await look('a')).toBe(0);
  expect(await look('b')).toBe(0);
  expect(await look('c')).toBe(0);
  expect(await look('c')).toBe(1);
  expect(await look('c')).toBe(1);
  expect(await look('b')).toBe(1);
  expect(await look('b')).toBe(2);
});

it('says nothing of a file that is away, or came back as it was', async () => {
  const { look } = await watch('a');
  for (const is of [undefined, undefined, 'a', 'a']) expect(await look(is)).toBe(0);
  for (const is of [undefined, 'b', 'b']) await look(is);
  expect(await look('b')).toBe(1);
});

it('looks no more once stopped', async () => {
  const { watching, clock } = await watch('a');
  watching.stop();
  expect(clock.pendingTimers).toBe(0);
});
