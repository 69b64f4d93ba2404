/** What every tenant was told to be saved, remembered outside with its times: rows 1, 2, 3 … one after the other, each of them a comment. */
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../acceptance/harness.ts';
import { writtenIn } from './load.ts';
import { type Installation, signIn, type Tenant } from './operator.ts';

export interface Entry {
  readonly n: number;
  /** Date.now() before it was asked for, and when the answer had come. The servers have the same clock. */
  readonly sentAtMs: number;
  acknowledgedAtMs?: number;
}

export interface Ledger {
  /** Of now: sessions and addresses change when a machine is lost. */
  tenant: Tenant;
  /** In the order in which they were sent; nobody sends the next before the answer. */
  entries: Entry[];
}

export interface LedgerWriters {
  readonly ledgers: readonly Ledger[];
  /** Answers other than a success, by status and code. */
  readonly refusals: ReadonlyMap<string, number>;
  /** All that were acknowledged. */
  count(): number;
  /** Resolves when nobody waits for an answer any more. */
  pause(): Promise<void>;
  resume(): void;
  /** Everybody is signed in anew: by the certificates of a rebuilt machine. */
  signInAgain(at: Installation): Promise<void>;
  stop(): Promise<void>;
}

/** One writer per tenant, over whatever happens to the servers. */
export function startLedgers(tenants: readonly Tenant[], { pauseMs }: { pauseMs: number }): LedgerWriters {
  let stopping = false;
  let pause: PromiseWithResolvers<void> | undefined;
  let asking = 0;
  const refusals = new Map<string, number>();
  const ledgers = tenants.map((tenant): Ledger => ({ tenant, entries: [] }));
  const write = async ({ tenant: { client, itemId, name } }: Ledger, entry: Entry): Promise<void> => {
    try {
      const answer = await client.send('POST', `/api/items/${itemId}/comments`, { body: `${name}/${entry.n}` });
      if (answer.status === 201) entry.acknowledgedAtMs = Date.now();
      else count(`${answer.status} ${answer.json?.code}`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      count(`no answer (${code ?? message})`);
    }
  };
  const count = (what: string): void => void refusals.set(what, (refusals.get(what) ?? 0) + 1);
  const work = async (ledger: Ledger): Promise<void> => {
    for (let n = 1; !stopping; n++) {
      await pause?.promise;
      const entry: Entry = { n, sentAtMs: Date.now() };
      ledger.entries.push(entry);
      asking++;
      await write(ledger, entry);
      asking--;
      await delay(pauseMs);
    }
  };
  const working = ledgers.map(work);
  return {
    ledgers,
    refusals,
    count: () => ledgers.reduce((sum, { entries }) => sum + entries.filter(isAcknowledged).length, 0),
    async pause() {
      pause ??= Promise.withResolvers();
      await until('every answer', async () => asking === 0);
    },
    resume() {
      pause?.resolve();
      pause = undefined;
    },
    async signInAgain(at) {
      for (const ledger of ledgers) {
        const old = ledger.tenant.client;
        ledger.tenant = { ...ledger.tenant, client: await signIn(at, ledger.tenant.name) };
        await old.close().catch(() => {});
      }
    },
    async stop() {
      stopping = true;
      pause?.resolve();
      await Promise.all(working);
    },
  };
}

export const isAcknowledged = ({ acknowledgedAtMs }: Entry): boolean => acknowledgedAtMs !== undefined;

export interface Findings {
  /** Acknowledged before the moment, and not there. */
  readonly lost: string;
  /** Asked for only after the moment, and there. */
  readonly early: string;
  /** Acknowledged before one that is there, and not there: the order is no prefix. */
  readonly skipped: string;
  /** There more than once, or never asked for by this tenant's writer. */
  readonly strange: string;
}
export const nothingFound: Findings = { lost: '', early: '', skipped: '', strange: '' };

/**
 * What is there, held against what was acknowledged.
 * @param owedUntilMs everything acknowledged before is due
 * @param momentMs nothing asked for after it may be there. Default: no such moment
 */
export function compare(
  { entries, tenant }: Ledger,
  held: ReadonlyMap<string, number>,
  owedUntilMs: number,
  momentMs = Number.POSITIVE_INFINITY,
): Findings {
  const isThere = ({ n }: Entry): boolean => held.has(`${tenant.name}/${n}`);
  const known = new Set(entries.map(({ n }) => `${tenant.name}/${n}`));
  const last = entries.findLast(isThere)?.n ?? 0;
  const numbers = (found: readonly Entry[]): string => describeNumbers(found.map(({ n }) => n));
  const missing = entries.filter((entry) => isAcknowledged(entry) && !isThere(entry));
  return {
    lost: numbers(missing.filter(({ acknowledgedAtMs }) => acknowledgedAtMs! < owedUntilMs)),
    early: numbers(entries.filter((entry) => entry.sentAtMs > momentMs && isThere(entry))),
    skipped: numbers(missing.filter(({ n }) => n < last)),
    strange: [...held]
      .filter(([name, times]) => times !== 1 || !known.has(name))
      .map(([name, times]) => `${times} × ${name}`)
      .join(', '),
  };
}

/** `1…9 (9)`: what is missing is mostly one stretch, and may be long. */
function describeNumbers(numbers: readonly number[]): string {
  if (numbers.length === 0) return '';
  return `${numbers[0]}…${numbers.at(-1)} (${numbers.length})`;
}

/** Every row that the tenant's people see. */
export const readLedger = (tenant: Tenant): Promise<Map<string, number>> => writtenIn(tenant);
