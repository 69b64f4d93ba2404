import { readFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { rootCertificates } from 'node:tls';
import { kernelErrors } from '#src/kernel/index.ts';
import { type ApiRequest, headersOf, longestAnswer, type PluginPorts } from './calls.ts';

/** Where the gateway of this machine listens, and who vouches for its certificates besides the public authorities. */
export interface GatewayAddress {
  readonly host: string;
  readonly port: number;
  readonly caFile: string;
}

/**
 * Requests of a plugin to its tenant's own address, by the door that everybody uses: session checks, roles, limits and the log of requests are the gateway's. The token stays
 * here, the plugin never sees it.
 */
export function createApi(
  gateway: GatewayAddress,
  { url, token, signal }: { readonly url: string; readonly token: string; readonly signal: AbortSignal },
): PluginPorts['api'] {
  const { host, hostname } = new URL(url);
  return async ({ method, path, body }: ApiRequest) => {
    const ca = [...rootCertificates, await readFile(gateway.caFile, 'utf8').catch(() => '')];
    return new Promise((resolve, reject) => {
      const request = httpsRequest({
        host: gateway.host,
        port: gateway.port,
        servername: hostname,
        ca,
        agent: false,
        rejectUnauthorized: true,
        method,
        path,
        signal,
        headers: {
          host,
          authorization: `Bearer ${token}`,
          accept: 'application/json',
          'accept-encoding': 'identity',
          'user-agent': 'Freehold plugin',
          ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        },
      });
      const unreachable = (cause: unknown) =>
        reject(kernelErrors.FH_INVALID_REQUEST({ detail: 'the API did not answer as it should', cause }));
      request.on('error', unreachable);
      request.on('response', (answer) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer.on('error', unreachable);
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > longestAnswer) request.destroy(new Error('the answer is longer than 1 MiB'));
          else chunks.push(chunk);
        });
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: headersOf((name) => answer.headers[name]?.toString()),
            body: Buffer.concat(chunks).toString(),
          }),
        );
      });
      request.end(body);
    });
  };
}
