import path from 'node:path';
import { type Lsn, parseLsn } from '#src/kernel/index.ts';
import type { Binaries } from '../binaries.ts';
import { clusterErrors } from '../errors.ts';
import type { OsUser } from '../os-user.ts';
import { runProgram } from '../run.ts';

/** What `pg_control` of a data folder says. */
export interface ControlData {
  readonly systemIdentifier: string;
  /** Pages carry checksums, so that every first change of a page after a checkpoint is a full image in the WAL. */
  readonly dataChecksums: boolean;
  readonly segmentBytes: number;
  readonly timeline: number;
  /** Replay of a server that was not restored begins here. */
  readonly redoLsn: Lsn;
  /** For example `shut down`, `in production`, `in archive recovery`. */
  readonly state: string;
  readonly maxPreparedTransactions: number;
}

/** Reads `pg_control` by PostgreSQL's own program, which also checks its checksum. */
export async function readControlData(
  dataDir: string,
  { binaries, osUser }: { binaries: Binaries; osUser?: OsUser },
): Promise<ControlData> {
  const program = path.join(binaries.binDir, 'pg_controldata');
  const { exitCode, stdout, stderr } = await runProgram(program, ['-D', dataDir], { osUser, cwd: '/' });
  // A wrong checksum is a warning to the program and exit code 0; and its warnings go to standard output.
  if (exitCode !== 0 || /^WARNING/m.test(stdout)) {
    throw clusterErrors.FH_CLUSTER_TOOL_FAILED({ detail: 'pg_controldata', cause: new Error(`${stdout}${stderr}`) });
  }
  const fields = new Map(
    stdout.split('\n').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }),
  );
  const field = (name: string): string => {
    const value = fields.get(name);
    if (value === undefined) throw clusterErrors.FH_CLUSTER_TOOL_FAILED({ detail: `pg_controldata: no ${name}` });
    return value;
  };
  return {
    systemIdentifier: field('Database system identifier'),
    dataChecksums: field('Data page checksum version') !== '0',
    segmentBytes: Number(field('Bytes per WAL segment')),
    timeline: Number(field("Latest checkpoint's TimeLineID")),
    redoLsn: parseLsn(field("Latest checkpoint's REDO location")),
    state: field('Database cluster state'),
    maxPreparedTransactions: Number(field('max_prepared_xacts setting')),
  };
}
