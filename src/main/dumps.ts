import { dumpErrors, isDumpDue, type OpenedDump, openDump, selectDumps, selectRuns } from '#src/backups/index.ts';
import type { DumpDeps, DumpRunView } from '#src/console-api/index.ts';
import { type TenantId, toFreeholdError } from '#src/kernel/index.ts';
import { sealedObjectBytes } from '#src/keys/index.ts';
import type { ObjectHeader } from '#src/keys/types.ts';
import { createDumpVerification, type DumpVerificationOptions } from './dump-verification.ts';
import { createDumpViews } from './dump-views.ts';
import { type Candidate, createDumping, type DumpingOptions, listCandidates, type Teller } from './dumping.ts';
import { mainErrors } from './errors.ts';
import type { Jobs } from './jobs.ts';
import type { Shutdown } from './shutdown.ts';

const hourMs = 60 * 60_000;
/** Beside what a start has to do. */
const firstDumpsAfterMs = 5 * 60_000;
const firstVerificationAfterMs = 15 * 60_000;
const retryAfterMs = 10 * 60_000;
const overdueAfterMs = 30 * hourMs;

export interface DumpServices extends DumpDeps {
  /** Hourly: whoever is due is dumped, what is not verified is verified. */
  schedule(): void;
  /** The newest dump of the tenant and how large it is, from the first region that gives it. Throws FH_DUMP_NOT_FOUND. */
  openNewest(tenantId: TenantId): Promise<OpenedDump & { readonly contentBytes?: number }>;
}

export interface DumpServicesOptions extends DumpingOptions, Omit<DumpVerificationOptions, 'regions'> {
  readonly keys: DumpingOptions['keys'];
  readonly jobs: Pick<Jobs, 'add'>;
  readonly shutdown: Pick<Shutdown, 'add'>;
}

/** Dumps of tenants: nightly and by command, made up in a region that was away, and verified by restoring them. One at a time; see decision 0015. */
export function createDumps(options: DumpServicesOptions): DumpServices {
  const { backups, pool, keys, clock, log } = options;
  const { regions } = backups;
  const { survey, dumpAll, makeUp } = createDumping(options);
  const verifyAll = createDumpVerification({ ...options, regions });
  let latest: DumpRunView | undefined;
  const stopping = new AbortController();
  let tail: Promise<void> = Promise.resolve();
  options.shutdown.add('dumps', 10_000, async () => {
    stopping.abort();
    await tail;
  });

  /** Jobs and the command never work side by side. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const result = tail.then(work);
    tail = result.catch(() => {});
    return result;
  }

  const now = () => new Date(clock.now());
  const views = createDumpViews({ pool, regions: regions.map(({ region }) => region), clock });

  async function runDumps(signal: AbortSignal): Promise<void> {
    const present = await survey(signal);
    const hour = now().getUTCHours();
    const lastAt = new Map(
      (await selectRuns(pool)).filter(({ outcome }) => outcome !== 'failed').map((run) => [run.tenantId, run.endedAt]),
    );
    const candidates = await listCandidates(pool);
    const due = candidates.filter(({ tenantId }) => isDumpDue(lastAt.get(tenantId), clock.now(), hour));
    try {
      await dumpAll(due, false, signal, { ended: () => {} });
    } finally {
      if (!signal.aborted) await makeUp(present, signal);
    }
  }

  async function runByCommand(candidates: readonly Candidate[], begun: DumpRunView): Promise<void> {
    const { signal } = stopping;
    let view = begun;
    const show = (change: Partial<DumpRunView>) => {
      view = { ...view, ...change };
      latest = view;
    };
    const tell: Teller = {
      onBytes: (writtenBytes) => show({ writtenBytes }),
      ended: (tenant) => show({ tenants: [...view.tenants, tenant], doneTenants: view.doneTenants + 1 }),
    };
    try {
      const present = await survey(signal);
      await dumpAll(candidates, true, signal, tell).finally(() => makeUp(present, signal));
      show({ phase: 'verifying' });
      const made = new Set(view.tenants.map(({ dumpId }) => dumpId));
      await verifyAll(
        ({ dumpId }) => made.has(dumpId),
        signal,
        (dump, { region, passed }) => {
          const tenants = view.tenants.map((tenant) =>
            tenant.dumpId === dump.dumpId ? { ...tenant, verified: { region, passed } } : tenant,
          );
          show({ tenants });
        },
      );
      show({ state: 'succeeded' });
    } catch (error) {
      const { code, message } = toFreeholdError(error);
      if (!signal.aborted) log.error('dumps by command failed', { error });
      show({ state: 'failed', error: { code, text: message } });
    }
  }

  return {
    ...views,
    async start(tenant) {
      if (latest?.state === 'running') return latest;
      const all = await listCandidates(pool);
      const chosen = tenant ? all.filter((each) => each.tenantId === tenant || each.tenantName === tenant) : all;
      if (tenant && chosen.length === 0) throw mainErrors.FH_DUMP_NO_TENANT({ detail: tenant });
      const begun: DumpRunView = {
        state: 'running',
        phase: 'dumping',
        startedAt: now().toISOString(),
        tenants: [],
        doneTenants: 0,
        allTenants: chosen.length,
        writtenBytes: 0,
      };
      latest = begun;
      void inTurn(() => runByCommand(chosen, begun));
      return begun;
    },
    latest: () => latest,
    schedule() {
      const common = { everyMs: hourMs, retryAfterMs, overdueAfterMs };
      options.jobs.add({
        ...common,
        name: 'dumps',
        firstAfterMs: firstDumpsAfterMs,
        run: (signal) => inTurn(() => runDumps(signal)),
      });
      options.jobs.add({
        ...common,
        name: 'verification of dumps',
        firstAfterMs: firstVerificationAfterMs,
        run: (signal) => inTurn(() => verifyAll(() => true, signal)),
      });
    },
    async openNewest(tenantId) {
      const [newest] = await selectDumps(pool, tenantId);
      if (!newest) throw dumpErrors.FH_DUMP_NOT_FOUND();
      let first: unknown;
      for (const region of regions.filter((each) => newest.regions.includes(each.region))) {
        try {
          const opened = await openDump(region, newest, keys);
          const contentBytes = contentBytesOf(opened.header, newest.sizeBytes);
          return { ...opened, ...(contentBytes !== undefined && { contentBytes }) };
        } catch (error) {
          log.warn('a dump could not be read from this region', { region: region.region, error });
          first ??= error;
        }
      }
      throw first ?? dumpErrors.FH_DUMP_NOT_FOUND();
    },
  };
}

/** What is in a sealed object of this length; undefined: it has another. A chunk of 65,536 bytes is sealed with a tag of 16 (docs/backup-format.md). */
function contentBytesOf(header: ObjectHeader, sealedBytes: number): number | undefined {
  const chunksBytes = sealedBytes - (sealedObjectBytes(header, 0) - 16);
  const contentBytes = chunksBytes - 16 * Math.ceil(chunksBytes / (65_536 + 16));
  return sealedObjectBytes(header, contentBytes) === sealedBytes ? contentBytes : undefined;
}
