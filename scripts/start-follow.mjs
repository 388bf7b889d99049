// Preload for the gateway that npm start runs: when start.mjs dies without a word (kill -9), the gateway ends in order instead
// of running on unseen. Its own process group keeps it from every other signal that would tell.
import cluster from 'node:cluster';
import { Socket } from 'node:net';

const FROM_START = 3;

// Workers inherit this preload, but not the pipe: they follow their primary.
if (cluster.isPrimary) {
  const pipe = new Socket({ fd: FROM_START });
  pipe.on('error', () => {});
  pipe.on('close', () => process.kill(process.pid, 'SIGTERM'));
  pipe.resume().unref();
}
