import type { PluginCalls } from './broker.ts';
import { pluginErrors } from './errors.ts';
import type { PluginOrder, StateAnswer, StateCall } from './types.ts';

/** Answers of others that a plugin may see. */
const shownHeaders = ['content-type', 'etag', 'last-modified', 'location', 'retry-after', 'link'];
const longestBody = 512 * 1024;
const longestKey = 200;
const longestValue = 64 * 1024;
export const longestAnswer = 2 ** 20;
const readMethods = ['GET', 'HEAD'];
const writeMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
}

/** What a plugin's calls lead to. Each of them is bound to the run that it was made for. */
export interface PluginPorts {
  /** One request to the tenant's own address, as the plugin. */
  api(request: ApiRequest): Promise<{ status: number; headers: Readonly<Record<string, string>>; body: string }>;
  /** `src/outgoing`: https, public servers only, no redirects. */
  fetch(
    url: string,
    init: { method: 'GET' | 'POST'; headers: Record<string, string>; body?: string },
  ): Promise<Response>;
  state(call: StateCall): Promise<StateAnswer>;
}

/** Holds every call against what the manifest declares. plugins.test.ts, escapes.test.ts */
export function createCalls(order: Pick<PluginOrder, 'api' | 'outgoing'>, ports: PluginPorts): PluginCalls {
  // One after another: what is kept is counted before the next comes.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (call: StateCall): Promise<StateAnswer> => {
    const next = last.catch(() => undefined).then(() => ports.state(call));
    last = next;
    return next;
  };
  return async (method, params) => {
    switch (method) {
      case 'api':
        return ports.api(parseApi(params, order.api?.access));
      case 'fetch':
        return readAnswer(await asked(ports.fetch(...parseFetch(params, order.outgoing))));
      case 'state.get':
      case 'state.delete':
        return inTurn({
          kind: method === 'state.get' ? 'get' : 'delete',
          key: parseText(params.key, 'key', longestKey),
        });
      case 'state.set':
        return inTurn({
          kind: 'set',
          key: parseText(params.key, 'key', longestKey),
          value: parseText(params.value, 'value', longestValue),
        });
      case 'state.list':
        return inTurn({ kind: 'list', prefix: parseText(params.prefix, 'prefix', longestKey) });
      default:
        throw refused(`there is nothing called ${JSON.stringify(method.slice(0, 40))}`);
    }
  };
}

type Params = Readonly<Record<string, unknown>>;

function parseApi({ method, path, body }: Params, access: 'read' | 'write' | undefined): ApiRequest {
  if (access === undefined) throw refused('capabilities.api is not declared');
  const isKnown = typeof method === 'string' && writeMethods.includes(method);
  if (!isKnown) throw refused(`the method is not one of ${writeMethods.join(', ')}`);
  if (access === 'read' && !readMethods.includes(method)) throw refused('capabilities.api is "read"');
  if (typeof path !== 'string' || path.length > 4_096 || !/^\/(?![/\\-])[\x21-\x7e]*$/.test(path))
    throw refused('the path is not one of the app: it begins with one /, is percent-encoded, and not below /-/');
  const text = body === undefined || body === null ? undefined : JSON.stringify(body);
  if (text !== undefined && text.length > longestBody) throw refused('the body is longer than 512 KiB');
  return { method, path, body: text };
}

function parseFetch({ url, method = 'GET', headers = {}, body }: Params, hosts: readonly string[]) {
  if (typeof url !== 'string' || url.length > 4_096) throw refused('the URL is no text');
  // Only what every reader of URLs takes for the same host; src/outgoing judges the rest of it.
  const host = /^https:\/\/([a-z0-9.-]+(?::[0-9]{1,5})?)(?=[/?]|$)/.exec(url)?.[1];
  if (host === undefined) throw refused('the URL is not https://HOST/… in lower case, without a user');
  if (!hosts.includes(host)) throw refused(`capabilities.outgoing does not name ${host}`);
  if (method !== 'GET' && method !== 'POST') throw refused('the method is neither GET nor POST');
  if (typeof headers !== 'object' || headers === null) throw refused('headers are no object');
  const named = Object.entries(headers as Record<string, unknown>);
  const isPlain = ([name, value]: [string, unknown]) =>
    /^[a-z0-9-]{1,60}$/i.test(name) && typeof value === 'string' && /^[\x20-\x7e]{0,4096}$/.test(value);
  if (named.length > 30 || !named.every(isPlain)) throw refused('headers are not plain');
  if (body !== undefined && (typeof body !== 'string' || body.length > longestBody))
    throw refused('the body is no text of at most 512 KiB');
  const init = {
    method,
    headers: Object.fromEntries(named) as Record<string, string>,
    ...(body !== undefined && { body }),
  };
  return [url, init as { method: 'GET' | 'POST'; headers: Record<string, string>; body?: string }] as const;
}

/** What src/outgoing calls a fault of its caller: a header that is not the caller's, a GET with a body. */
async function asked(answer: Promise<Response>): Promise<Response> {
  return answer.catch((error) => {
    throw error instanceof TypeError ? refused(error.message) : error;
  });
}

async function readAnswer(answer: Response) {
  return { status: answer.status, headers: headersOf((name) => answer.headers.get(name)), body: await answer.text() };
}

export function headersOf(find: (name: string) => string | null | undefined): Record<string, string> {
  return Object.fromEntries(shownHeaders.map((name) => [name, find(name)]).filter(([, value]) => value));
}

/** Also what PostgreSQL does not take as text. */
function parseText(value: unknown, what: string, max: number): string {
  const isText = typeof value === 'string' && Buffer.byteLength(value) <= max;
  if (isText && !value.includes('\0') && value.isWellFormed()) return value;
  throw refused(`${what} is no text of at most ${max} bytes`);
}

const refused = (detail: string) => pluginErrors.FH_PLUGIN_REFUSED({ detail });
