import { readFile } from 'node:fs/promises';

/**
 * A fingerprint of what the checkpointer of this server has done so far: it changes while the checkpointer works, and stands still while it hangs.
 * A server that shuts down takes no connection, so this is all there is to see. Undefined: there is none (yet, or any more).
 * `unknown` where the system shows no such thing (not Linux).
 */
export async function readCheckpointActivity(postmasterId: number): Promise<string | 'unknown' | undefined> {
  if (process.platform !== 'linux') return 'unknown';
  const checkpointer = await findCheckpointer(postmasterId);
  return checkpointer === undefined ? undefined : readActivity(checkpointer);
}

/** By its title (ps_status.c): `postgres: checkpointer performing shutdown checkpoint`. */
export async function findCheckpointer(postmasterId: number): Promise<number | undefined> {
  const children = await readFile(`/proc/${postmasterId}/task/${postmasterId}/children`, 'utf8').catch(() => '');
  for (const processId of children.split(' ').filter(Boolean)) {
    const title = await readFile(`/proc/${processId}/cmdline`, 'utf8').catch(() => '');
    // A cluster_name stands before it.
    if (/^postgres: (?:[^:]+: )?checkpointer/.test(title)) return Number(processId);
  }
  return undefined;
}

/**
 * Processor time and context switches (proc(5)): each fsync is at least one of them. Who waits for the disk (state D) is at work as well, since
 * no signal would end that any sooner, so its fingerprint is never the same twice.
 */
async function readActivity(processId: number): Promise<string | undefined> {
  const [stat, status] = await Promise.all(
    ['stat', 'status'].map((file) => readFile(`/proc/${processId}/${file}`, 'utf8').catch(() => '')),
  );
  // The name stands in parentheses and may hold anything.
  const fields = stat!.slice(stat!.lastIndexOf(')') + 2).split(' ');
  if (fields.length < 14) return undefined;
  const [state, userTicks, systemTicks] = [fields[0], fields[11], fields[12]];
  const switches = [...status!.matchAll(/^(?:non)?voluntary_ctxt_switches:\s+(\d+)$/gm)].map((match) => match[1]);
  const waiting = state === 'D' ? [performance.now()] : [];
  return [processId, userTicks, systemTicks, ...switches, ...waiting].join(' ');
}
