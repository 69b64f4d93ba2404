/** People at work while something breaks. Every acknowledged write is remembered, to be looked for afterwards. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, NotConnected } from '../../acceptance/harness.ts';
import { sent, type Tenant } from './operator.ts';

export interface Reader {
  readonly requests: number;
  /** Answers that were no success, and requests that got none. */
  readonly failures: readonly string[];
  stop(): Promise<void>;
}

/** Reads lists and items of one tenant, one request after the other. */
export function startReader({ client, itemId }: Tenant, pauseMs = 20): Reader {
  let stopping = false;
  let requests = 0;
  const failures: string[] = [];
  const paths = ['/api/items?limit=5', `/api/items/${itemId}`, '/-/api/session', '/api/summary'];
  const work = async (): Promise<void> => {
    while (!stopping) {
      const path = paths[requests++ % paths.length]!;
      try {
        const { status, text } = await client.get(path);
        if (status !== 200) failures.push(`${path}: ${status} ${text.slice(0, 300)}`);
      } catch (error) {
        failures.push(`${path}: ${(error as Error).message}`);
      }
      await delay(pauseMs);
    }
  };
  const working = work();
  return {
    get requests() {
      return requests;
    },
    failures,
    async stop() {
      stopping = true;
      await working;
    },
  };
}

export interface Writers {
  /** Bodies whose 201 has arrived. */
  readonly acknowledged: ReadonlySet<string>;
  /**
   * Answers with an error, by status and code. `refused connection`: nothing of the request was sent, as TLS was never there; `no
   * answer (why)`: it was sent, or a part of it.
   */
  readonly refusals: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

const answerDeadlineMs = 180_000;
let runs = 0;

/** Several writers per tenant, each writing one comment after the other, every second one as an item of its own. */
export function startWriters(tenants: readonly Tenant[], { perTenant = 2, pauseMs = 5, textBytes = 0 } = {}): Writers {
  const run = ++runs;
  let stopping = false;
  const acknowledged = new Set<string>();
  const refusals = new Map<string, number>();
  const count = (what: string): void => void refusals.set(what, (refusals.get(what) ?? 0) + 1);
  const write = async ({ client, itemId, project }: Tenant, body: string, asItem: boolean): Promise<void> => {
    const text = textBytes ? `${body} ${noise(textBytes)}` : body;
    const sending = asItem
      ? client.send('POST', '/api/items', { project, title: body, description: text })
      : client.send('POST', `/api/items/${itemId}/comments`, { body: text });
    const answer = await inTime(sending);
    if (answer?.status === 201) acknowledged.add(body);
    else if (answer) count(`${answer.status} ${answer.json?.code}`);
    else count('no answer (in time)');
  };
  const work = async (tenant: Tenant, writer: number): Promise<void> => {
    for (let number = 0; !stopping; number++) {
      await write(tenant, `${tenant.name}/${run}/${writer}/${number}`, number % 2 === 1).catch((error) =>
        count(error instanceof NotConnected ? 'refused connection' : `no answer (${error.code ?? error.message})`),
      );
      await delay(pauseMs);
    }
  };
  const working = tenants.flatMap((tenant) => Array.from({ length: perTenant }, (_, writer) => work(tenant, writer)));
  return {
    acknowledged,
    refusals,
    async stop() {
      stopping = true;
      await Promise.all(working);
    },
  };
}

/** Incompressible, so that a full disk comes soon. */
function noise(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(Math.ceil(bytes / 2)))).toString('hex');
}

/** The answer, or undefined when none comes in time: the writer then does not know. */
async function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  const limit = new AbortController();
  const late = delay(answerDeadlineMs, undefined, { signal: limit.signal }).catch(() => undefined);
  try {
    return await Promise.race([answer, late]);
  } finally {
    limit.abort();
    answer.catch(() => {});
  }
}

/** Everything that the tenant's people wrote, as often as it is there. */
export async function writtenIn({ client, itemId }: Tenant): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const note = (text: string): void => {
    const name = text.split(' ')[0]!;
    if (name.includes('/')) found.set(name, (found.get(name) ?? 0) + 1);
  };
  await eachPage(client, `/api/items/${itemId}/comments?limit=100`, ({ comments }) => {
    for (const { body } of comments) note(body);
  });
  await eachPage(client, '/api/items?limit=100&sort=created', ({ items }) => {
    for (const { title } of items) note(title);
  });
  return found;
}

// biome-ignore lint/suspicious/noExplicitAny: a black-box test reads whatever JSON came.
async function eachPage(client: Client, path: string, use: (page: any) => void): Promise<void> {
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page = await sent(client, 'GET', cursor ? `${path}&cursor=${encodeURIComponent(cursor)}` : path);
    use(page);
    cursor = page.nextCursor;
  }
}

/** Lost and doubled writes; both empty when all is well. @returns how many acknowledged ones were looked for */
export async function checkWrites(
  tenants: readonly Tenant[],
  acknowledged: ReadonlySet<string>,
): Promise<{ checked: number; lost: string[]; doubled: string[] }> {
  const found = new Map<string, number>();
  for (const tenant of tenants) {
    for (const [name, times] of await writtenIn(tenant)) {
      if (!name.startsWith(`${tenant.name}/`)) throw new Error(`${name} turned up with ${tenant.name}`);
      found.set(name, times);
    }
  }
  return {
    checked: acknowledged.size,
    lost: [...acknowledged].filter((name) => !found.has(name)),
    doubled: [...found].filter(([, times]) => times > 1).map(([name]) => name),
  };
}
