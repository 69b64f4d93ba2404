import { findPsql } from '../bootstrap.ts';
import { clusterErrors } from '../errors.ts';
import { runProgram } from '../run.ts';
import type { ClusterOptions } from '../server.ts';

/** One statement as the superuser, which only the server's own operating system user can be. @returns the first column of the first row */
export async function runAsSuperuser(
  { binaries, osUser, socketDir, port }: ClusterOptions,
  statement: string,
  signal?: AbortSignal,
): Promise<string> {
  const args = ['--no-psqlrc', '--quiet', '--no-password', '--tuples-only', '--no-align', '--set=ON_ERROR_STOP=1'];
  args.push('--host', socketDir, '--port', String(port), '--username=postgres', '--dbname=postgres');
  const result = await runProgram(await findPsql(binaries), args, { osUser, cwd: '/', input: statement, signal });
  if (result.exitCode !== 0) {
    const message = /(?:ERROR|FATAL): {2}(.*)/.exec(result.stderr)?.[1];
    throw clusterErrors.FH_CLUSTER_TOOL_FAILED({ detail: `psql: ${message ?? `exit code ${result.exitCode}`}` });
  }
  return result.stdout.trim();
}
