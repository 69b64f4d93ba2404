/** A server for tests of outgoing requests: TLS with a certificate for `idp.example` from an authority of its own, in a folder that goes with it. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGatewayKey, createLocalAuthority } from '#src/keys/index.ts';

export interface TestServer {
  readonly server: Server;
  readonly port: number;
  /** The authority of its certificate. */
  readonly ca: string;
  stop(): Promise<void>;
}

export async function startTestServer(
  handler: RequestListener,
  { host = '127.0.0.1', port = 0, name = 'idp.example' } = {},
): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'fh-outgoing-'));
  const authority = await createLocalAuthority(join(folder, 'ca'), { domain: 'example' });
  const key = await createGatewayKey(join(folder, 'tls'));
  const server = createServer({ key: key.privateKeyPem, cert: await authority.issue(name, key.publicKeyPem) }, handler);
  server.on('tlsClientError', () => {});
  server.listen(port, host);
  await once(server, 'listening');
  return {
    server,
    port: (server.address() as AddressInfo).port,
    ca: authority.certificatePem,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
