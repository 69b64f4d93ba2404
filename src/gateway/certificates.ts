import { X509Certificate } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { tlsFloor } from '#src/http/index.ts';
import { type Clock, type FreeholdError, type Log, retry } from '#src/kernel/index.ts';
import { createCachedLookup } from './cached-lookup.ts';
import { gatewayErrors } from './errors.ts';
import { parseAuthority } from './host.ts';
import type { GatewayDirectory, GatewayTls } from './types.ts';

export interface Certificates {
  /** Reads what is configured, and tells the certificate of the base domain, now and when its file changes. */
  start(setBaseCertificate: (pair: SecureContextOptions) => void): Promise<void>;
  /**
   * For the name that a client asks for; undefined: the one of the base domain will do (and the request be refused). While control or
   * its database is away (a failover), it waits; rejected when that takes too long: the wrong certificate would frighten people.
   */
  findContext(serverName: string): Promise<SecureContext | undefined>;
  stop(): void;
}

export interface CertificatesOptions {
  readonly domain: string;
  readonly tls: GatewayTls;
  readonly directory: Pick<GatewayDirectory, 'findCertificate'>;
  readonly clock: Clock;
  readonly log: Log;
}

interface FileCertificate {
  readonly certificate: X509Certificate;
  readonly pair: SecureContextOptions;
  readonly context: SecureContext;
}

/** A context costs about a tenth of a megabyte, so only those of hot hosts are kept. */
const maxContexts = 500;
const contextTtlMs = 3_600_000;
const pollFilesMs = 5_000;
/** About seven seconds, less than a handshake may take. */
const patience = { attempts: 18, firstDelayMs: 50, maxDelayMs: 600 };

export function createCertificates({ domain, tls, directory, clock, log }: CertificatesOptions): Certificates {
  let fromFiles: readonly FileCertificate[] = [];
  const files = tls.certificates.flatMap(({ certificateFile, keyFile }) => [certificateFile, keyFile]);

  const readFiles = async (): Promise<readonly FileCertificate[]> =>
    Promise.all(
      tls.certificates.map(async ({ certificateFile, keyFile }) => {
        const [cert, key] = await Promise.all([readFile(certificateFile, 'utf8'), readFile(keyFile, 'utf8')]);
        const pair = { cert, key };
        return { certificate: new X509Certificate(cert), pair, context: createSecureContext({ ...tlsFloor, ...pair }) };
      }),
    );
  const fileCertificateFor = (host: string) => fromFiles.find(({ certificate }) => certificate.checkHost(host));

  const pairFor = async (host: string): Promise<SecureContextOptions | undefined> => {
    const cert = tls.privateKeyPem === undefined ? undefined : await directory.findCertificate(host);
    return cert === undefined ? undefined : { cert, key: tls.privateKeyPem };
  };
  const contexts = createCachedLookup<SecureContext>({
    maxEntries: maxContexts,
    ttlMs: contextTtlMs,
    negativeTtlMs: 2_000,
    clock,
    load: async (host) => {
      const isRetryable = (error: unknown) => (error as FreeholdError).status === 503;
      const pair = await retry({ ...patience, isRetryable }, () => pairFor(host)).catch((error) => {
        log.warn('a certificate cannot be had, so the host cannot be reached', { host, error });
        throw error;
      });
      return pair && createSecureContext({ ...tlsFloor, ...pair });
    },
  });

  const plausible = (serverName: string): string | undefined => {
    try {
      const { kind, host } = parseAuthority(serverName, { domain, publicPort: undefined });
      return kind === 'foreign' || host !== serverName ? undefined : host;
    } catch {
      return undefined;
    }
  };

  let setBase: (pair: SecureContextOptions) => void = () => {};
  const readAll = async () => {
    fromFiles = await readFiles();
    const pair = fileCertificateFor(domain)?.pair ?? (await pairFor(domain)) ?? fromFiles[0]?.pair;
    if (!pair) throw gatewayErrors.FH_TLS_UNREADY({ detail: domain });
    setBase(pair);
  };
  const reload = () => {
    readAll().then(
      () => log.info('certificates were read again'),
      // Half-written files: the old ones stay good, and the next change is looked at again.
      (error: unknown) => log.error('certificates could not be read; the old ones stay in use', { error }),
    );
  };

  return {
    start: async (setBaseCertificate) => {
      setBase = setBaseCertificate;
      await readAll();
      for (const file of files) watchFile(file, { interval: pollFilesMs, persistent: false }, reload);
    },
    findContext: async (asked) => {
      const serverName = asked.toLowerCase();
      const found = fileCertificateFor(serverName);
      if (found) return found.context;
      // Control is asked for plausible names only.
      const host = plausible(serverName);
      return host === undefined ? undefined : contexts.get(host);
    },
    stop: () => {
      for (const file of files) unwatchFile(file, reload);
    },
  };
}
