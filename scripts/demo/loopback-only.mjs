// Preload for the demo's HTTP backend, which by itself listens on all addresses and outlives whoever started it.
import { Server } from 'node:http';

const { listen } = Server.prototype;
Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, Number(port), '127.0.0.1', ...rest.filter((value) => typeof value === 'function'));
};

// Its stdin is a pipe from start.mjs: the end of that process, however it comes, is its end.
process.stdin.resume().on('close', () => process.exit(0));
