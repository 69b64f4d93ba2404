import { request } from 'node:http';
import type { CommandAnswer } from './types.ts';

/** One request over the command socket. */
export function sendCommand(
  socketPath: string,
  method: string,
  path: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<CommandAnswer> {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers = payload === undefined ? {} : { 'content-type': 'application/json' };
    const sent = request({ socketPath, method, path, headers, signal }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const bytes = Buffer.concat(chunks);
        resolve({ status: answer.statusCode!, json: parseJson(bytes), bytes });
      });
    });
    sent.on('error', reject);
    sent.end(payload);
  });
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}
