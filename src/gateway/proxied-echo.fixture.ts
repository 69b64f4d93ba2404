import type { RequestListener } from 'node:http';
import type { Answer } from './test-world.ts';

/** What arrived at an app. */
export interface Echoed {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly rawTrailers: readonly string[];
  readonly body: string;
}

/** An app that answers with what arrived, as JSON. */
export const echo: RequestListener = async (request, response) => {
  const body: Buffer[] = [];
  for await (const chunk of request) body.push(chunk);
  const { method, url, rawHeaders, rawTrailers } = request;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ method, url, rawHeaders, rawTrailers, body: Buffer.concat(body).toString('latin1') }));
};

export function echoedOf(answer: Answer): Echoed {
  return answer.json() as unknown as Echoed;
}

export function valuesOf({ rawHeaders }: Echoed, name: string): string[] {
  return rawHeaders.filter((_value, at) => at % 2 === 1 && rawHeaders[at - 1]!.toLowerCase() === name);
}
