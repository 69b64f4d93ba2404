import { type BackupManifest, type Finding, verificationErrors } from '#src/backups/index.ts';
import type { CheckRun } from '#src/console-api/index.ts';
import { type Clock, type Log, toFreeholdError } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';

/** What verifications and drills share: one of them at a time, what the latest does, and which region is next. */
export interface CheckRuns<Result extends { readonly passed: boolean }, Run extends CheckRun> {
  /** Begins one. FH_VERIFICATION_BUSY when any goes on. */
  start(region: string, work: Work<Result>): { readonly run: Run; readonly done: Promise<Result> };
  /** The same when what goes on is over. */
  startWhenFree(region: string, work: Work<Result>): Promise<Result>;
  latest(): Run | undefined;
}

type Report = (progress: { readonly fraction: number; readonly text: string }) => void;
type Work<Result> = (report: Report) => Promise<Result>;

/** Both take a core and room on the disk for a while, so there is one of them at a time. */
export interface Lane {
  /** Resolves when it is free again. */
  taken: Promise<void> | undefined;
}

export function createCheckRuns<Result extends { readonly passed: boolean }, Run extends CheckRun>({
  what,
  lane,
  toRun,
  clock,
  log,
}: {
  readonly what: string;
  readonly lane: Lane;
  readonly toRun: (run: CheckRun, result: Result | undefined) => Run;
  readonly clock: Clock;
  readonly log: Log;
}): CheckRuns<Result, Run> {
  let latest: Run | undefined;
  const runs: CheckRuns<Result, Run> = {
    latest: () => latest,
    async startWhenFree(region, work) {
      while (lane.taken) await lane.taken;
      return runs.start(region, work).done;
    },
    start(region, work) {
      if (lane.taken) throw verificationErrors.FH_VERIFICATION_BUSY();
      const { promise, resolve: free } = Promise.withResolvers<void>();
      lane.taken = promise;
      const startedAt = new Date(clock.now()).toISOString();
      const begun: CheckRun = { state: 'running', startedAt, region, fraction: 0, text: 'beginning' };
      const run = toRun(begun, undefined);
      latest = run;
      const done = (async () => {
        try {
          const result = await work((progress) => {
            latest = toRun({ ...begun, ...progress }, undefined);
          });
          latest = toRun({ ...begun, state: result.passed ? 'passed' : 'failed', fraction: 1, text: 'over' }, result);
          return result;
        } catch (error) {
          const { code, message: text } = toFreeholdError(error);
          log.error(`${what} ended with an error`, { error });
          latest = toRun({ ...begun, state: 'failed', fraction: 1, text: 'over', error: { code, text } }, undefined);
          throw error;
        } finally {
          lane.taken = undefined;
          free();
        }
      })();
      // Whoever asked over HTTP looks at `latest`.
      done.catch(() => {});
      return { run, done };
    },
  };
  return runs;
}

/** How the newest verification or drill of one region ended; what another region is worth says nothing about this one. */
export interface LastInRegion {
  readonly region: string;
  readonly finishedAt: Date;
  readonly passed: boolean;
  readonly findings: readonly Finding[];
}

/** The one that is named, or the one whose turn it is. */
export function chooseRegion(
  regions: readonly RegionStore[],
  wanted: string | undefined,
  last: readonly LastInRegion[],
): RegionStore {
  if (wanted === undefined) return regionsInTurn(regions, last)[0]!;
  const found = regions.find(({ region }) => region === wanted);
  if (!found)
    throw verificationErrors.FH_VERIFICATION_UNKNOWN_REGION({
      detail: `${wanted}; there are ${regions.map(({ region }) => region).join(' and ')}`,
    });
  return found;
}

/** Whose last time is longest ago comes first, whoever never had one before all; in the order of the settings otherwise. */
export function regionsInTurn(regions: readonly RegionStore[], last: readonly LastInRegion[]): RegionStore[] {
  const lastAt = ({ region }: RegionStore) => last.find((each) => each.region === region)?.finishedAt.getTime() ?? 0;
  return regions.toSorted((one, other) => lastAt(one) - lastAt(other));
}

/** Which regions were found wrong the last time, in one line; undefined: none. */
export function describeFailed(last: readonly LastInRegion[]): string | undefined {
  const failed = last.filter(({ passed }) => !passed);
  return failed.map(({ region, findings }) => `region ${region}: ${summarise(findings)}`).join('; ') || undefined;
}

/** One line for logs, audit and jobs. */
export function summarise(findings: readonly Pick<Finding, 'text' | 'tenantName'>[]): string {
  const [first] = findings;
  if (!first) return 'nothing is wrong';
  const more = findings.length > 1 ? `, and ${findings.length - 1} more` : '';
  return `${first.tenantName ? `tenant ${first.tenantName}: ` : ''}${first.text}${more}`;
}

export function newestFirst(one: BackupManifest, other: BackupManifest): number {
  return other.finishedAt.localeCompare(one.finishedAt);
}
