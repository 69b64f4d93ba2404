import { request } from 'node:http';

/** One question at the app's door. @returns its status; undefined: it does not answer yet */
export function askHealth(
  socketPath: string,
  path: string,
  host: string,
  withinMs: number,
): Promise<number | undefined> {
  return new Promise((resolve) => {
    const asked = request(
      { socketPath, path, headers: { host, 'x-forwarded-proto': 'https' }, timeout: withinMs, agent: false },
      (response) => {
        response.resume();
        // What the body holds is of no interest, and it may never end.
        response.destroy();
        resolve(response.statusCode);
      },
    );
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(undefined));
    asked.end();
  });
}
