import { recordAudit } from '#src/audit/index.ts';
import {
  type Catalogue,
  loadRetentionFacts,
  type OwedToRegions,
  type RetentionHolds,
  type RetentionProgress,
  type RetentionRunResult,
  type RunRetentionOptions,
  reportRetention,
  runRetention,
  type ShippingReport,
} from '#src/backups/index.ts';
import type { RetentionDeps, RetentionHealth, RetentionRegionView, RetentionRunView } from '#src/console-api/index.ts';
import type { MetricFigure } from '#src/http/index.ts';
import { type Clock, type ClusterId, type Log, parseLsn, toFreeholdError } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import type { Jobs } from './jobs.ts';
import type { Shutdown } from './shutdown.ts';

const everyMs = 24 * 60 * 60_000;
/** Later than everything that a start has to do. */
const firstAfterMs = 20 * 60_000;
const retryAfterMs = 30 * 60_000;
const overdueAfterMs = 3 * everyMs;
/** Base backups are a day apart; this is how late one may be before it is a fault. */
const fullEveryDays = 7;

export interface RetentionServices extends RetentionDeps {
  /** One job for each region, daily. */
  schedule(): Promise<void>;
  health(): Promise<RetentionHealth[]>;
  figures(): MetricFigure[];
}

/** Removes from the regions what is older than the retention and needed by nobody. Each region by itself: one that is away keeps nobody else waiting. */
export function createRetention({
  clusterId,
  regions,
  shipping,
  othersShipping,
  days,
  pool,
  keys,
  holds,
  findUnneededFiles,
  jobs,
  clock,
  log,
  shutdown,
}: {
  readonly clusterId: ClusterId;
  readonly regions: readonly RegionStore[];
  readonly shipping: () => ShippingReport | undefined;
  /** The same of other clusters. */
  readonly othersShipping?: () => ReadonlyMap<ClusterId, ShippingReport | undefined>;
  /** Every moment of so many days stays restorable. */
  readonly days: number;
  readonly pool: Pool;
  readonly keys: Pick<BackupKeys, 'openKey' | 'destroyedOwners'>;
  readonly holds: RetentionHolds;
  readonly findUnneededFiles: RunRetentionOptions['findUnneededFiles'];
  readonly jobs: Pick<Jobs, 'add' | 'runNow'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly shutdown: Shutdown;
}): RetentionServices {
  const policy = { days, fullEveryDays };
  /** What was read of a region is not read again. */
  const catalogues = new Map<string, Catalogue>();
  const views = new Map<string, RetentionRegionView>();
  const latest = new Map<boolean, RetentionRunView>();
  const running = new Map<boolean, Promise<void>>();
  let facts: Awaited<ReturnType<typeof loadRetentionFacts>> = [];
  const stopping = new AbortController();
  shutdown.add('retention', 10_000, async () => {
    stopping.abort();
    await Promise.all(running.values());
  });

  async function runRegion(
    region: RegionStore,
    dryRun: boolean,
    show: (view: RetentionRegionView) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const previous = catalogues.get(region.region);
    try {
      const result = await runRetention({
        region,
        policy,
        db: pool,
        keys,
        holds,
        clusterId,
        readOwed: () => toOwed(shipping()),
        readOthersOwed: () => new Map([...(othersShipping?.() ?? [])].map(([id, report]) => [id, toOwed(report)])),
        findUnneededFiles,
        ...(previous && { previous }),
        clock,
        dryRun,
        onProgress: (progress) => show(toProgressView(region.region, progress)),
        signal,
      });
      catalogues.set(region.region, result.catalogue);
      if (!dryRun) await tell(region.region, result);
      show(toView(region.region, result, dryRun));
    } catch (error) {
      const { code, message } = toFreeholdError(error);
      show({ region: region.region, state: 'failed', error: { code, text: message } });
      throw error;
    } finally {
      if (!dryRun) await readFacts();
    }
  }

  async function tell(region: string, result: RetentionRunResult): Promise<void> {
    const { removedObjects, removedBytes, decision, spared, removedUnfinished, unanswered } = result;
    for (const [tenantId, error] of unanswered)
      log.warn('nobody could say which files of a tenant are needed; all of them were kept', {
        region,
        tenantId,
        error,
      });
    for (const warning of decision.warnings) log.warn('retention found something to look at', { region, warning });
    log.info('retention ended', { region, removedObjects, removedBytes, spared: spared.length, removedUnfinished });
    if (removedObjects === 0) return;
    await recordAudit(pool, {
      name: 'backup.pruned',
      actor: 'system',
      subject: region,
      details: { objects: removedObjects, bytes: removedBytes, horizon: decision.horizon.toISOString() },
    });
  }

  async function readFacts(): Promise<void> {
    facts = await loadRetentionFacts(pool).catch((error) => {
      log.warn('what retention did could not be read', { error });
      return facts;
    });
  }

  function start({ dryRun }: { readonly dryRun: boolean }): RetentionRunView {
    const before = latest.get(dryRun);
    if (before?.state === 'running') return before;
    let run: RetentionRunView = {
      dryRun,
      state: 'running',
      startedAt: new Date(clock.now()).toISOString(),
      days,
      regions: regions.map(({ region }) => ({ region, state: 'listing' })),
    };
    const update = (changed: Partial<RetentionRunView>) => {
      run = { ...run, ...changed };
      latest.set(dryRun, run);
    };
    const show = (view: RetentionRegionView) =>
      update({ regions: run.regions.map((one) => (one.region === view.region ? view : one)) });
    update({});
    const all = regions.map(async (region) => {
      if (dryRun) return runRegion(region, true, show, stopping.signal);
      // The very job: one run at a time, and it counts for the schedule.
      watching.set(region.region, show);
      try {
        await jobs.runNow(jobName(region.region));
      } finally {
        watching.delete(region.region);
        show(views.get(region.region) ?? { region: region.region, state: 'failed' });
      }
    });
    running.set(
      dryRun,
      Promise.allSettled(all).then(() => update({ state: 'ended' })),
    );
    return run;
  }
  /** Who looks on while the job of a region runs. */
  const watching = new Map<string, (view: RetentionRegionView) => void>();

  return {
    start,
    latest: ({ dryRun }) => latest.get(dryRun),
    async schedule() {
      await readFacts();
      for (const region of regions) {
        const show = (view: RetentionRegionView) => {
          views.set(region.region, view);
          watching.get(region.region)?.(view);
        };
        jobs.add({
          name: jobName(region.region),
          everyMs,
          firstAfterMs,
          retryAfterMs,
          overdueAfterMs,
          run: (signal) => runRegion(region, false, show, signal),
        });
      }
    },
    async health() {
      return (await loadRetentionFacts(pool)).map(({ horizon, startedAt, finishedAt, ...fact }) => ({
        ...fact,
        horizon: horizon.toISOString(),
        startedAt: startedAt.toISOString(),
        ...(finishedAt && { finishedAt: finishedAt.toISOString() }),
      }));
    },
    figures: () => facts.flatMap(toFigures),
  };
}

function toOwed(report: ShippingReport | undefined): OwedToRegions {
  if (!report) return undefined;
  const toRange = ({ timeline, start, end }: { timeline: number; start: string; end: string }) => ({
    timeline,
    start: parseLsn(start),
    end: parseLsn(end),
  });
  return new Map(report.regions.map(({ region, lacking }) => [region, lacking.map(toRange)]));
}

function jobName(region: string): string {
  return `retention of region ${region}`;
}

function toProgressView(region: string, { phase, done, all }: RetentionProgress): RetentionRegionView {
  return { region, state: phase, doneObjects: done, ...(all !== undefined && { allObjects: all }) };
}

function toView(region: string, result: RetentionRunResult, dryRun: boolean): RetentionRegionView {
  const { decision, catalogue, removedObjects, removedBytes, spared, removedUnfinished } = result;
  return {
    region,
    state: 'done',
    horizon: decision.horizon.toISOString(),
    ...reportRetention(catalogue, decision),
    ...(!dryRun && { removedObjects, removedBytes, sparedObjects: spared.length, removedUnfinished }),
    warnings: decision.warnings,
  };
}

function toFigures(fact: Awaited<ReturnType<typeof loadRetentionFacts>>[number]): MetricFigure[] {
  const labels = { region: fact.region };
  const seconds = (date: Date) => Math.round(date.getTime() / 1000);
  return [
    {
      name: 'freehold_retention_removed_bytes_total',
      help: 'Bytes that retention removed from a region.',
      type: 'counter',
      labels,
      value: fact.allRemovedBytes,
    },
    {
      name: 'freehold_retention_horizon_timestamp_seconds',
      help: 'Every moment since then stays restorable from a region.',
      type: 'gauge',
      labels,
      value: seconds(fact.horizon),
    },
    {
      name: 'freehold_retention_last_start_timestamp_seconds',
      help: 'When retention last decided about a region.',
      type: 'gauge',
      labels,
      value: seconds(fact.startedAt),
    },
  ];
}
