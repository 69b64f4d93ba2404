import { recordAudit } from '#src/audit/index.ts';
import {
  type ChosenVerification,
  type ContentPort,
  chooseVerifications,
  findUnsound,
  insertDumpVerification,
  type KnownDump,
  selectDumps,
  selectDumpVerifications,
  verifyDump,
} from '#src/backups/index.ts';
import {
  type Binaries,
  createScratchFolder,
  type EmptyServer,
  type OsUser,
  startEmptyServer,
} from '#src/clusters/index.ts';
import { type Clock, FreeholdError, type Log } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/index.ts';
import { type RegionStore, requireRoom } from '#src/objects/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import { listCandidates } from './dumping.ts';
import { mainErrors } from './errors.ts';

/** A fresh server, and what loading a dump takes beside its tables. */
const scratchBytes = 256 * 1024 * 1024;

export interface DumpVerificationOptions {
  readonly regions: readonly RegionStore[];
  readonly binaries: Binaries;
  /** Control's own database. */
  readonly pool: Pool;
  readonly keys: Pick<BackupKeys, 'openKey'>;
  readonly content: ContentPort;
  /** Folder for scratch servers; nothing else lies in it. */
  readonly scratchFolder: string;
  /** The user that scratch servers run as; needed when we are root. */
  readonly osUser?: OsUser;
  readonly clock: Clock;
  readonly log: Log;
}

type OnVerified = (dump: KnownDump, result: { region: string; passed: boolean }) => void;

/** Restores dumps to see that they do, on one scratch server for all that are due, each from one region alone. */
export function createDumpVerification(options: DumpVerificationOptions) {
  const { regions, pool, keys, clock, log } = options;

  /** Verifies one and records it. @returns whether it is sound; undefined: its tenant was deleted */
  async function verifyOne(
    dump: KnownDump,
    region: RegionStore,
    server: EmptyServer,
    signal: AbortSignal,
  ): Promise<boolean | undefined> {
    try {
      const verification = await verifyDump({
        dump,
        region,
        keys,
        server,
        binaries: options.binaries,
        content: options.content,
        ...(dump.content && { tables: dump.content.tables }),
        requireRoom: (sizeBytes) => requireRoom(options.scratchFolder, 2 * sizeBytes),
        clock,
        signal,
      });
      await insertDumpVerification(pool, verification);
      if (verification.passed) return true;
      log.error('a dump does not restore to what it should', { ...verification });
      await recordAudit(pool, {
        name: 'backup.dump_unsound',
        actor: 'system',
        subject: dump.dumpId,
        tenantId: dump.tenantId,
        details: { region: region.region, code: verification.findings[0]!.code },
      });
      return false;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof FreeholdError && error.code === 'FH_KEY_DESTROYED') return undefined;
      log.warn('a dump could not be verified now', { dumpId: dump.dumpId, region: region.region, error });
      return false;
    }
  }

  return async function verifyAll(
    wanted: (dump: KnownDump) => boolean,
    signal: AbortSignal,
    onVerified: OnVerified = () => {},
  ): Promise<void> {
    const names = regions.map(({ region }) => region);
    const dumps = await selectDumps(pool);
    const chosen = chooseVerifications(dumps, await selectDumpVerifications(pool), clock.now(), names);
    const work = chosen.filter(({ dump }) => wanted(dump));
    const failed = new Set<string>();
    if (work.length > 0) await verifyEach(work, failed, signal, onVerified);
    // A copy that was found unsound stays so when another region gives a sound one; a new dump mends it.
    const open = new Set((await listCandidates(pool)).map(({ tenantId }) => tenantId));
    const own = dumps.filter((dump) => open.has(dump.tenantId) && wanted(dump));
    for (const { dumpId, region } of findUnsound(own, await selectDumpVerifications(pool), names))
      failed.add(`${dumpId} in region ${region}`);
    if (failed.size > 0) throw mainErrors.FH_DUMP_UNVERIFIED({ detail: [...failed].slice(0, 10).join(', ') });
  };

  async function verifyEach(
    work: readonly ChosenVerification[],
    failed: Set<string>,
    signal: AbortSignal,
    onVerified: OnVerified,
  ): Promise<void> {
    await requireRoom(options.scratchFolder, scratchBytes);
    const folder = await createScratchFolder(options.scratchFolder, options.osUser);
    try {
      const server = await startEmptyServer({ folder, binaries: options.binaries, log, signal });
      try {
        for (const { dump, region } of work) {
          signal.throwIfAborted();
          const store = regions.find((each) => each.region === region)!;
          const passed = await verifyOne(dump, store, server, signal);
          if (passed === undefined) continue;
          if (!passed) failed.add(`${dump.dumpId} in region ${region}`);
          onVerified(dump, { region, passed });
        }
      } finally {
        await server.stop();
      }
    } finally {
      await folder.remove();
    }
  }
}
