// A certificate authority of the test's own, made by openssl in a temporary directory, with one certificate for loopback.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificates {
  /** Of the authority: what a client has to trust. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  remove(): void;
}

/** Files in PEM; the certificate is for 127.0.0.1 and localhost. */
export function makeCertificates(): Certificates {
  const dir = mkdtempSync(join(tmpdir(), 'berth-ca-'));
  const at = (name: string) => join(dir, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=test CA', '-keyout', at('ca.key'), '-out', at('ca.crt'));
  openssl('req', ...newKey, '-subj', '/CN=localhost', '-keyout', at('redis.key'), '-out', at('redis.csr'));
  writeFileSync(at('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1');
  const signed = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', at('names')];
  openssl('x509', '-req', '-in', at('redis.csr'), ...signed, '-out', at('redis.crt'));
  return {
    ca: at('ca.crt'),
    certificate: at('redis.crt'),
    key: at('redis.key'),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
