// Preload of what the documents start: whoever listens on a port without an address does so on loopback.
import { Server } from 'node:net';

const { listen } = Server.prototype;
Server.prototype.listen = function (...args) {
  const [port, ...rest] = args;
  const isBare = ['number', 'string'].includes(typeof port) && !Number.isNaN(Number(port)) && typeof rest[0] !== 'string';
  return isBare ? listen.call(this, Number(port), '127.0.0.1', ...rest) : listen.apply(this, args);
};
