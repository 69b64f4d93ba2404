/**
 * dumps: each tenant's database as pg_dump writes it, sealed under the tenant's key, in every region, and proof that it restores. Invariants: a dump is
 * whole or not there, nothing of it lands on local disk; one tenant's is opened as nobody else's; a verification reads one region alone.
 * Callers: control (nightly, by command, for the owner's download).
 */
export {
  type ChosenVerification,
  chooseVerifications,
  findUnsound,
  isDumpDue,
  judgeDump,
  longestUnchangedMs,
} from './choose.ts';
export { type DumpOptions, type DumpResult, dumpTenant } from './dump.ts';
export { dumpErrors } from './errors.ts';
export { copyDump } from './make-up.ts';
export { type DumpPlace, type OpenedDump, openDump } from './open.ts';
export {
  type DumpRun,
  insertCopy,
  insertDump,
  insertDumpVerification,
  type NewestDump,
  selectDumps,
  selectDumpVerifications,
  selectNewestDumps,
  selectRuns,
  upsertRun,
} from './sql.ts';
export { type DumpHistory, type DumpStanding, dumpStandings, judgeTenant, troubledStandings } from './standing.ts';
export { surveyDumps } from './survey.ts';
export type * from './types.ts';
export { type VerifyDumpOptions, verifyDump } from './verify.ts';
