// Contract of rule 9: a missing record is gone only if Redis has kept its data.
import { waitFor } from '../../support/wait-for.js';
import { type Harness, LEASE_MS, newRef } from './harness.js';

export function describeGeneration(use: () => Harness): void {
  beforeEach(() => use().flushAll());

  const settle = () => use().connection.del(`${use().prefix}{data}:settling`);

  it('calls nothing gone before the generation was read once', async () => {
    const worker = use().anotherWorker();
    await use().anotherWorker().checkGeneration(LEASE_MS);
    await settle();
    expect(await worker.readSession(newRef())).toEqual({ kind: 'settling' });
    expect(await worker.checkGeneration(LEASE_MS)).toBe('same');
    expect(await worker.readSession(newRef())).toEqual({ kind: 'gone' });
  });

  it('settles for a lease when the generation is made', async () => {
    const worker = use().anotherWorker();
    expect(await worker.checkGeneration(50)).toBe('settling');
    await waitFor('the settling time to end', async () => (await worker.checkGeneration(50)) === 'same');
    expect(await worker.readSession(newRef())).toEqual({ kind: 'gone' });
  });

  it('finds a record also while something settles', async () => {
    await use().directory.checkGeneration(LEASE_MS);
    const { ref } = await use().openSession();
    expect(await use().directory.readSession(ref)).toMatchObject({ kind: 'found' });
  });

  it('says settling for a missing record after the data was lost, gone when it has settled', async () => {
    const [one, other] = [use().anotherWorker(), use().anotherWorker()];
    await one.checkGeneration(LEASE_MS);
    await other.checkGeneration(LEASE_MS);
    await settle();
    const { ref } = await use().openSession();
    await use().flushAll();
    // Nobody has looked yet: the generation is missing.
    expect(await one.readSession(ref)).toEqual({ kind: 'settling' });
    // One has looked: the other remembers another generation.
    expect(await one.checkGeneration(LEASE_MS)).toBe('settling');
    expect(await one.readSession(ref)).toEqual({ kind: 'settling' });
    await settle();
    expect(await one.readSession(ref)).toEqual({ kind: 'gone' });
    expect(await other.readSession(ref)).toEqual({ kind: 'settling' });
    expect(await other.checkGeneration(LEASE_MS)).toBe('settling');
    await settle();
    expect(await other.readSession(ref)).toEqual({ kind: 'gone' });
  });

  it('lets a worker that starts anew settle nothing', async () => {
    await use().anotherWorker().checkGeneration(LEASE_MS);
    await settle();
    expect(await use().anotherWorker().checkGeneration(LEASE_MS)).toBe('same');
  });

  it('does not take a generation remembered meanwhile for the one a missing record was read under', async () => {
    const { connection } = use();
    let meanwhile = async (): Promise<unknown> => undefined;
    // The real connection, with a pause between the reply for the record and what follows it.
    const paused = new Proxy(connection, {
      get(real, name) {
        if (name === 'hgetall') return async (key: string) => real.hgetall(key).finally(() => meanwhile());
        const value = Reflect.get(real, name) as unknown;
        return typeof value === 'function' ? value.bind(real) : value;
      },
    });
    const worker = use().anotherWorker(paused);
    await worker.checkGeneration(LEASE_MS);
    await use().flushAll();
    await use().anotherWorker().checkGeneration(LEASE_MS);
    meanwhile = async () => {
      await worker.checkGeneration(LEASE_MS);
      await settle();
    };
    expect(await worker.readSession(newRef())).toEqual({ kind: 'settling' });
  });
}
