import path from 'node:path';
import { clusterErrors } from '../errors.ts';
import { runProgram } from '../run.ts';
import type { ClusterOptions } from '../server.ts';

/** Makes a server that follows the primary; resolves when it takes writes. */
export async function promoteServer({ dataDir, binaries, osUser }: ClusterOptions): Promise<void> {
  const args = ['promote', '-D', dataDir, '-w', '-t', '60', '-s'];
  const result = await runProgram(path.join(binaries.binDir, 'pg_ctl'), args, { osUser, cwd: dataDir });
  if (result.exitCode !== 0)
    throw clusterErrors.FH_CLUSTER_TOOL_FAILED({ detail: 'pg_ctl promote', cause: new Error(result.stderr.trim()) });
}
