import { request } from 'node:http';

/** One question at the app's door. @returns its status; undefined: it does not answer yet */
export function askHealth(
  socketPath: string,
  path: string,
  host: string,
  withinMs: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  return new Promise((resolve) => {
    const asked = request(
      {
        socketPath,
        path,
        headers: { host, 'x-forwarded-proto': 'https' },
        agent: false,
        signal: AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(withinMs))]),
      },
      (response) => {
        response.resume();
        // What the body holds is of no interest, and it may never end.
        response.destroy();
        resolve(response.statusCode);
      },
    );
    asked.on('error', () => resolve(undefined));
    asked.end();
  });
}
