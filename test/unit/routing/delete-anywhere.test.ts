// DELETE reaches the owner, or is done in its place when it stays silent; either way it is answered once.
import { DirectoryUnavailable } from '../../../src/directory/directory.js';
import { Fixture, tokenOf } from './execution-fixture.js';

describe('DELETE', () => {
  const deletion = { method: 'DELETE', body: undefined } as const;

  it('is answered by an owner that answers', async () => {
    const fixture = new Fixture();
    await fixture.run(fixture.exchange(deletion));
    expect([fixture.hops, fixture.closed]).toEqual([['other 1'], []]);
    expect(fixture.answer.text).toBe('from the owner');
  });

  it('is accepted in place of an owner that is silent for a second, and the next request asks the directory', async () => {
    const fixture = new Fixture();
    fixture.silent.add('other');
    const beganMs = fixture.clock.monotonicMs();
    await fixture.run(fixture.exchange(deletion));
    expect([fixture.answer.status, fixture.closed]).toEqual([202, ['other 1']]);
    expect(fixture.clock.monotonicMs() - beganMs).toBeLessThan(1200);
  });

  it('is accepted in place of an owner that cannot be reached for a second', async () => {
    const fixture = new Fixture();
    fixture.onHop = () => ({ kind: 'notBegun', reason: 'refused' });
    const beganMs = fixture.clock.monotonicMs();
    await fixture.run(fixture.exchange(deletion));
    expect([fixture.answer.status, fixture.closed]).toEqual([202, ['other 1']]);
    expect(fixture.clock.monotonicMs() - beganMs).toBeLessThan(1500);
  });

  it('is 404 for a stranger to the session of a silent owner', async () => {
    const fixture = new Fixture();
    fixture.silent.add('other');
    fixture.onClose = () => 'gone';
    await fixture.run(fixture.exchange(deletion));
    expect([fixture.answer.status, fixture.audited.length]).toEqual([404, 0]);
  });

  it('is 404 for another principal, which is noted', async () => {
    const fixture = new Fixture();
    fixture.silent.add('other');
    fixture.onClose = () => 'foreign';
    await fixture.run(fixture.exchange(deletion));
    expect([fixture.answer.status, fixture.audited.length]).toEqual([404, 1]);
  });

  it('asks the next owner when the session has moved away from a silent one', async () => {
    const fixture = new Fixture();
    fixture.silent.add('other');
    fixture.onClose = () => {
      fixture.owner = tokenOf('third', 2);
      fixture.alive.add('third');
      return 'moved';
    };
    await fixture.run(fixture.exchange(deletion));
    // The third one answered: nothing was done in its place.
    expect([fixture.answer.status, fixture.closed]).toEqual([200, ['other 1']]);
  });

  it('is accepted when the session is gone after an attempt that may have ended it', async () => {
    const fixture = new Fixture();
    fixture.onHop = () => {
      fixture.gone = true;
      return { kind: 'broken', reason: 'lost' };
    };
    await fixture.run(fixture.exchange(deletion));
    expect(fixture.answer.status).toBe(202);
  });

  it('is 404 when the session is gone and no attempt got so far', async () => {
    const fixture = new Fixture();
    fixture.onHop = () => {
      fixture.gone = true;
      return { kind: 'notBegun', reason: 'refused' };
    };
    await fixture.run(fixture.exchange(deletion));
    expect(fixture.answer.status).toBe(404);
  });

  it('is held while Redis is away, like any request', async () => {
    const fixture = new Fixture();
    fixture.silent.add('other');
    fixture.onClose = () => {
      if (fixture.closed.length === 1) throw new DirectoryUnavailable(new Error('away'));
      return 'closing';
    };
    await fixture.run(fixture.exchange(deletion));
    expect([fixture.answer.status, fixture.held]).toEqual([202, ['served']]);
  });
});
