// The admin listener. Small and short-lived requests only, so it ends at once when it is told to.
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EXIT, StartError } from '../errors/start-error.js';

const HEADERS_TIMEOUT_MS = 5000;
const REQUEST_TIMEOUT_MS = 10_000;
/** Answers that are on their way may still leave. */
const CLOSE_MS = 500;

export interface AdminServer {
  readonly port: number;
  close(): Promise<void>;
}

/** @throws StartError 69 if the address cannot be used */
export async function listenForAdmin(address: { host: string; port: number }, app: RequestListener): Promise<AdminServer> {
  const server = createServer({ headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS }, app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen('admin.listen', address, error)));
    server.listen(address, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => close(server) };
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** Why an address of the configuration cannot be listened on, and what to do about it. */
export function cannotListen(
  option: string,
  { host, port }: { host: string; port: number },
  cause: NodeJS.ErrnoException,
): StartError {
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  switch (cause.code) {
    case 'EADDRINUSE':
      return new StartError(
        EXIT.unavailable,
        `${option}: port ${port} on ${host} is in use.\n  Stop what listens on ${where}, or set ${option} to another port.`,
        { cause },
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new StartError(
        EXIT.unavailable,
        `${option}: ${host} is not an address of this machine (${cause.code}).\n  Set ${option} to one that is.`,
        { cause },
      );
    case 'EACCES':
      return new StartError(
        EXIT.unavailable,
        `${option}: this user may not listen on ${where}.\n  Use a port from 1024 on, or give the process CAP_NET_BIND_SERVICE.`,
        { cause },
      );
    default:
      return new StartError(EXIT.unavailable, `${option}: cannot listen on ${where} (${cause.code ?? cause.message}).`, {
        cause,
      });
  }
}
