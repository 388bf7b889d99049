import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeDataDir } from '../../../src/cluster/data-dir-guard.js';

describe('the guard of the data directory', () => {
  let dir: string;
  const dataDir = () => join(dir, 'data');
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'berth-guard-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  function contend(): Promise<{ code: number | null; signal: string | null; stderr: string }> {
    const child = spawn(process.execPath, [join(__dirname, 'fixtures', 'take-data-dir.mjs'), dir, '30'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    return new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal, stderr })));
  }

  it('lets one in at a time, however many want it and however they end', async () => {
    const contenders = Array.from({ length: 8 }, async () => {
      // Whoever was killed is replaced, as by a supervisor.
      for (let life = 0; life < 4; life += 1) {
        const { code, signal, stderr } = await contend();
        if (signal === 'SIGKILL') continue;
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        return;
      }
    });
    await Promise.all(contenders);
    const log = readFileSync(join(dir, 'log'), 'utf8').trim().split('\n');
    expect(log.length).toBeGreaterThanOrEqual(8);
    // One file stays, and no drafts.
    expect(readdirSync(dataDir()).filter((name) => name.startsWith('guard.'))).toHaveLength(1);
  });

  it('is refused to a second taker of the same process, until the first gives it up', async () => {
    const guard = await takeDataDir(dataDir());
    await expect(takeDataDir(dataDir())).rejects.toMatchObject({
      exitCode: 69,
      message: expect.stringContaining(`pid ${process.pid}`),
    });
    guard.release();
    (await takeDataDir(dataDir())).release();
  });

  it('goes on where a power failure left half a file', async () => {
    mkdirSync(dataDir());
    writeFileSync(join(dataDir(), 'guard.7'), '{"owner":{"pi');
    const guard = await takeDataDir(dataDir());
    expect(readdirSync(dataDir())).toEqual(['guard.8']);
    guard.release();
  });

  it('tells the next holder which Redis a dead one had', async () => {
    const redis = { socket: '/nowhere/redis.sock', pid: 99_999_999, startTime: '1' };
    const dead = {
      owner: { pid: 99_999_999, startTime: '1', pidSpace: 'of a machine before its reboot' },
      released: false,
      redis,
    };
    mkdirSync(dataDir());
    writeFileSync(join(dataDir(), 'guard.1'), JSON.stringify(dead));
    const guard = await takeDataDir(dataDir());
    expect(guard.previousRedis).toEqual(redis);
    guard.release();
    expect((await takeDataDir(dataDir())).previousRedis).toBeUndefined();
  });

  it('believes a holder of another container as long as its Redis answers', async () => {
    const socket = join(dir, 'redis.sock');
    const server = createServer((client) => client.on('data', () => client.end('+PONG\r\n')));
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const other = { owner: { pid: 1, startTime: '1', pidSpace: 'another container' }, released: false, redis: { socket } };
    mkdirSync(dataDir());
    writeFileSync(join(dataDir(), 'guard.1'), JSON.stringify(other));
    await expect(takeDataDir(dataDir())).rejects.toMatchObject({
      exitCode: 69,
      message: expect.stringContaining('another container'),
    });
    await new Promise((resolve) => server.close(resolve));
    (await takeDataDir(dataDir())).release();
  });
});
