import pg from 'pg';
import { formatLsn, type Lsn, parseLsn, systemClock } from '#src/kernel/index.ts';
import { startWalStream, type WalStream } from './replication-stream.ts';
import { serverTls } from './server-tls.ts';
import { ConnectionLostError, sqlState } from './sqlstate.ts';
import type { ConnectionTarget } from './types.ts';

export interface ServerIdentity {
  /** Made by initdb; the same on primary and standby, never on two clusters. */
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** End of the flushed WAL. */
  readonly flushed: Lsn;
}

export interface SlotPosition {
  /** Oldest WAL that the slot keeps; undefined: the slot was invalidated, or reserves nothing yet. */
  readonly restartLsn: Lsn | undefined;
  readonly restartTimeline: number | undefined;
}

export interface StartReplicationOptions {
  readonly slot?: string;
  readonly timeline: number;
  /** First byte wanted. */
  readonly from: Lsn;
}

/** A session that speaks the replication protocol: WAL and files, no statements. Errors are the server's or the operating system's. */
export interface ReplicationConnection {
  readonly processId: number;
  identifySystem(): Promise<ServerIdentity>;
  /** With RESERVE_WAL: the WAL from the last checkpoint's redo on is kept from now. 42710: the slot is there. */
  createPhysicalSlot(name: string): Promise<void>;
  dropSlot(name: string): Promise<void>;
  /** undefined: no such slot. */
  readSlot(name: string): Promise<SlotPosition | undefined>;
  /** The history file of a timeline from 2 on, as it lies in pg_wal. */
  timelineHistory(timeline: number): Promise<{ readonly fileName: string; readonly content: Buffer }>;
  /** Value of a setting, as `SHOW` prints it. */
  showSetting(name: string): Promise<string>;
  /**
   * Streams WAL; resolves when the server has agreed to. One at a time; nothing else can be asked meanwhile.
   * 58P01: the WAL is gone. 55006: another receiver uses the slot. 55000: the slot was invalidated.
   */
  startReplication(options: StartReplicationOptions): Promise<WalStream>;
  /** Never rejects; may be called again. */
  close(): Promise<void>;
  /** Called once when the connection is gone, at once when it is gone already. */
  onEnd(listener: () => void): void;
}

export interface OpenReplicationOptions {
  /** `synchronous_standby_names` goes by it. */
  readonly applicationName: string;
  /** Default 10,000. */
  readonly connectTimeoutMs?: number;
}

const closeDeadlineMs = 2_000;

/** Opens a physical replication connection; `target.database` is not used. */
export async function openReplication(
  target: ConnectionTarget,
  { applicationName, connectTimeoutMs = 10_000 }: OpenReplicationOptions,
): Promise<ReplicationConnection> {
  // Not in the package's types; goes into the startup packet.
  const config: pg.ClientConfig & { replication: 'true' } = {
    host: target.host,
    port: target.port,
    database: 'replication',
    user: target.user,
    password: target.password,
    ssl: serverTls(target),
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    replication: 'true',
  };
  const client = new pg.Client(config);
  let ended = false;
  const endListeners: (() => void)[] = [];
  client.on('error', () => {});
  client.on('end', () => {
    ended = true;
    for (const listener of endListeners.splice(0)) listener();
  });
  try {
    await client.connect();
  } catch (error) {
    client.connection.stream.destroy();
    throw error;
  }

  // Names of slots go into commands that know no parameters.
  const quote = (name: string) => {
    if (!/^[a-z0-9_]{1,63}$/.test(name)) throw new TypeError(`not a name of a replication slot: ${name}`);
    return `"${name}"`;
  };
  const ask = async (command: string): Promise<Record<string, string | null>[]> => {
    try {
      const { rows } = await client.query({ text: command, types: { getTypeParser: () => String } });
      return rows;
    } catch (error) {
      throw sqlState(error) === undefined && ended ? new ConnectionLostError(error) : error;
    }
  };
  let closing: Promise<void> | undefined;
  return {
    processId: (client as unknown as { processID: number }).processID,
    async identifySystem() {
      const row = (await ask('IDENTIFY_SYSTEM'))[0]!;
      return {
        systemIdentifier: row.systemid!,
        timeline: Number(row.timeline),
        flushed: parseLsn(row.xlogpos!),
      };
    },
    async createPhysicalSlot(name) {
      await ask(`CREATE_REPLICATION_SLOT ${quote(name)} PHYSICAL RESERVE_WAL`);
    },
    async dropSlot(name) {
      await ask(`DROP_REPLICATION_SLOT ${quote(name)}`);
    },
    async readSlot(name) {
      const row = (await ask(`READ_REPLICATION_SLOT ${quote(name)}`))[0]!;
      if (row.slot_type === null) return undefined;
      return {
        restartLsn: row.restart_lsn === null ? undefined : parseLsn(row.restart_lsn!),
        restartTimeline: row.restart_tli === null ? undefined : Number(row.restart_tli),
      };
    },
    async timelineHistory(timeline) {
      const row = (await ask(`TIMELINE_HISTORY ${timeline}`))[0]!;
      return { fileName: row.filename!, content: Buffer.from(row.content!) };
    },
    async showSetting(name) {
      if (!/^[a-z_]+$/.test(name)) throw new TypeError(`not a setting: ${name}`);
      return (await ask(`SHOW ${name}`))[0]![name]!;
    },
    startReplication({ slot, timeline, from }) {
      const onSlot = slot === undefined ? '' : `SLOT ${quote(slot)} `;
      return startWalStream(client, `START_REPLICATION ${onSlot}PHYSICAL ${formatLsn(from)} TIMELINE ${timeline}`, {
        now: systemClock.now,
      });
    },
    close() {
      closing ??= closeReplication(client, () => ended);
      return closing;
    },
    onEnd(listener) {
      if (ended) listener();
      else endListeners.push(listener);
    },
  };
}

async function closeReplication(client: pg.Client, isEnded: () => boolean): Promise<void> {
  if (isEnded()) return;
  const gone = new Promise<void>((resolve) => client.once('end', () => resolve()));
  // A peer that no longer answers must not hold up a shutdown.
  const cut = setTimeout(() => client.connection.stream.destroy(), closeDeadlineMs);
  // A paused socket never sees that the other side has closed.
  client.connection.stream.resume();
  client.end().catch(() => {});
  await gone;
  clearTimeout(cut);
}
