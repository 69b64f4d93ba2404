import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, failpoint, type Log, type TenantId } from '#src/kernel/index.ts';
import type { Outgoing } from '#src/outgoing/types.ts';
import type { SamlEngine } from '../saml/index.ts';
import { judgeRollover, type Rollover } from './metadata-rollover.ts';
import { claimReading, keepReading } from './reading-sql.ts';
import type { SignOnReason } from './reasons.ts';
import { fetchMetadata } from './saml-source.ts';
import type { SamlConnection } from './types.ts';

/** Reads metadata again that came from an address: by the sign-ins themselves, so that nothing is done for connections that nobody uses. */
export interface SamlRefresh {
  /** At a sign-in: begins reading what was read a day ago, and waits for it only where the metadata have run out. @returns the connection to go on with */
  refreshIfDue(tenantId: TenantId, connection: SamlConnection): Promise<SamlConnection>;
  /** After an answer under a key that is not known: at most every ten minutes. Undefined: what there is goes on. */
  refreshForKey(tenantId: TenantId, connection: SamlConnection): Promise<SamlConnection | undefined>;
  /** Until what was begun is over. */
  settleMetadata(): Promise<void>;
}

const minuteMs = 60_000;
const dailyMs = 24 * 60 * minuteMs;
/** After it failed. */
const retryMs = 60 * minuteMs;
const forKeyMs = 10 * minuteMs;

export function createSamlRefresh(deps: {
  readonly databases: TenantDatabases;
  readonly engine: SamlEngine;
  readonly outgoing: Outgoing;
  readonly clock: Clock;
  readonly log: Log;
}): SamlRefresh {
  const { databases, engine, outgoing, clock, log } = deps;
  const running = new Set<Promise<unknown>>();

  async function read(tenantId: TenantId, { settings }: SamlConnection): Promise<Rollover> {
    const refused = (reason: SignOnReason) => ({ ok: false, reason }) as const;
    const text = await fetchMetadata(outgoing, tenantId, settings.metadataUrl!).catch(() => undefined);
    if (text === undefined) return refused('provider_unreachable');
    const verdict = await engine.parseIdpMetadata(text, { entityId: settings.idpEntityId }, tenantId);
    return verdict.ok ? judgeRollover(settings, verdict.metadata, clock.now()) : refused(verdict.reason);
  }

  /** As it is then; undefined: somebody else does it, or what was read was not taken. */
  async function refresh(
    tenantId: TenantId,
    connection: SamlConnection,
    notSinceMs: number,
  ): Promise<SamlConnection | undefined> {
    const { connectionId, name } = connection;
    const at = new Date(clock.now()).toISOString();
    const notSince = new Date(clock.now() - notSinceMs).toISOString();
    const claimed = await databases.platform.transact(tenantId, (db) => claimReading(db, connection, { at, notSince }));
    if (!claimed) return undefined;
    const before = claimed.settings.metadataReading;
    const rollover = await read(tenantId, claimed);
    await failpoint('identity.metadata.read');
    const reading = {
      triedAt: at,
      readAt: rollover.ok ? at : (before?.readAt ?? null),
      problem: rollover.ok ? null : rollover.reason,
      problemSince: rollover.ok ? null : (before?.problemSince ?? at),
    };
    return databases.platform.transact(tenantId, async (db) => {
      const settings = { ...(rollover.ok ? rollover.settings : claimed.settings), metadataReading: reading };
      const kept = await keepReading(db, claimed, settings, rollover.ok && rollover.hasChanged);
      // Changed by an owner meanwhile, who gave what is right now.
      if (!kept) return undefined;
      const about = { actor: 'system', subject: connectionId };
      if (!rollover.ok) {
        // Once for each trouble, and not every hour.
        if (before?.problem !== rollover.reason)
          await recordTenantAudit(db, {
            ...about,
            name: 'connection.metadata_refused',
            details: { connection: name, reason: rollover.reason },
          });
        return undefined;
      }
      if (!rollover.hasChanged) return kept;
      const { keysAdded, keysRemoved, isAbrupt } = rollover;
      await recordTenantAudit(db, {
        ...about,
        name: 'connection.metadata_changed',
        details: { connection: name, keysAdded, keysRemoved, isAbrupt },
      });
      return kept;
    });
  }

  function isDue({ settings: { metadataUrl, metadataReading } }: SamlConnection): boolean {
    if (metadataUrl === null) return false;
    if (!metadataReading) return true;
    const pause = metadataReading.problem === null ? dailyMs : retryMs;
    return Date.parse(metadataReading.triedAt) + pause <= clock.now();
  }

  /** A reading that fails is no reason that a sign-in does. */
  function run(tenantId: TenantId, connection: SamlConnection, notSinceMs: number) {
    const reading = refresh(tenantId, connection, notSinceMs).catch((error: unknown) => {
      log.warn('metadata of a connection were not read again', {
        tenantId,
        connectionId: connection.connectionId,
        error,
      });
      return undefined;
    });
    running.add(reading);
    void reading.finally(() => running.delete(reading));
    return reading;
  }

  return {
    async refreshIfDue(tenantId, connection) {
      if (!isDue(connection)) return connection;
      const reading = run(tenantId, connection, Math.min(retryMs, dailyMs));
      const { validUntil } = connection.settings;
      const hasRunOut = validUntil !== null && Date.parse(validUntil) <= clock.now();
      return hasRunOut ? ((await reading) ?? connection) : connection;
    },
    refreshForKey: async (tenantId, connection) =>
      connection.settings.metadataUrl === null ? undefined : run(tenantId, connection, forKeyMs),
    settleMetadata: async () => {
      await Promise.all(running);
    },
  };
}
