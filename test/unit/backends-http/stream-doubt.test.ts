// A resumed stream is believed once another one beside it was refused, and replaced once another one was opened.
import { StreamDoubt } from '../../../src/backends/http/stream-doubt.js';
import { FakeClock } from '../../support/fake-clock.js';

class TestStream {
  state = 'made';
  constructor(readonly name: string) {}
  start(): void {
    this.state = 'started';
  }
  stop(): void {
    this.state = 'stopped';
  }
}

function makeDoubt() {
  const clock = new FakeClock();
  const others: TestStream[] = [];
  let isOfInterest = true;
  const doubt = new StreamDoubt<TestStream>(clock, ({ name }) => {
    if (!isOfInterest) return undefined;
    others.push(new TestStream(`beside ${name}`));
    return others.at(-1);
  });
  return {
    clock,
    doubt,
    others,
    loseInterest: () => {
      isOfInterest = false;
    },
  };
}

test('another stream is opened after a second, not before', () => {
  const { clock, doubt, others } = makeDoubt();
  doubt.resumed(new TestStream('a'), 1);
  clock.advance(999);
  expect(others).toEqual([]);
  clock.advance(1);
  expect(others).toMatchObject([{ name: 'beside a', state: 'started' }]);
  expect(doubt.isProbe(others[0] as TestStream)).toBe(true);
});

test('a backend that refuses the other one is trusted until its session is another', () => {
  const { clock, doubt, others } = makeDoubt();
  doubt.resumed(new TestStream('a'), 1);
  clock.advance(1000);
  doubt.ended(409, 1);
  doubt.resumed(new TestStream('b'), 1);
  clock.advance(1000);
  expect(others).toHaveLength(1);
  doubt.resumed(new TestStream('c'), 2);
  clock.advance(1000);
  expect(others).toHaveLength(2);
});

test('one that fails for another reason proves nothing', () => {
  const { clock, doubt, others } = makeDoubt();
  doubt.resumed(new TestStream('a'), 1);
  clock.advance(1000);
  doubt.ended(503, 1);
  doubt.resumed(new TestStream('b'), 1);
  clock.advance(1000);
  expect(others).toHaveLength(2);
});

test('the other one outlives the doubt once it is the stream', () => {
  const { clock, doubt, others } = makeDoubt();
  doubt.resumed(new TestStream('a'), 1);
  clock.advance(1000);
  doubt.disproved();
  doubt.stop();
  expect(others).toMatchObject([{ state: 'started' }]);
});

test('when the resumed one has gone nothing is asked any more', () => {
  const { clock, doubt, others, loseInterest } = makeDoubt();
  doubt.resumed(new TestStream('a'), 1);
  doubt.stop();
  clock.advance(5000);
  expect(others).toEqual([]);
  doubt.resumed(new TestStream('b'), 1);
  clock.advance(1000);
  doubt.stop();
  expect(others).toMatchObject([{ state: 'stopped' }]);
  loseInterest();
  doubt.resumed(new TestStream('c'), 1);
  clock.advance(1000);
  expect(others).toHaveLength(1);
});
