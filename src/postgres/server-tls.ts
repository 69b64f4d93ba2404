import type { ConnectionOptions } from 'node:tls';
import type { ConnectionTarget } from './types.ts';

/** How the server's certificate is checked; false: the connection has no TLS. Its authorities are those of the target, or else the public ones, never both. */
export function serverTls({ tls, host, ca }: ConnectionTarget): ConnectionOptions | false {
  if (tls !== 'verify-full') return false;
  return { rejectUnauthorized: true, servername: host, ...(ca && { ca: ca.pem }) };
}
