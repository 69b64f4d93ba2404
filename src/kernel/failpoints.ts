/**
 * Named places where a test can stop, fail or kill the process: `FREEHOLD_FAILPOINTS="name=kill,other=error"`,
 * optionally `name=kill@3` for the third pass. Never set in production; `doctor` reports it.
 */
export type FailpointAction = 'kill' | 'error' | 'enospc' | 'hang';

interface Armed {
  readonly action: FailpointAction;
  remaining: number;
}

const armed = new Map<string, Armed>();
/** Every name passed so far, so that the fault suite can list the failpoints that a flow crosses. */
export const passedFailpoints = new Set<string>();
const forever: (() => void)[] = [];
/** Names at which something hangs until the process ends. */
export const hangingFailpoints = new Set<string>();

/** Arms failpoints from the text of the setting; throws TypeError on a malformed entry. */
export function armFailpoints(text: string): void {
  armed.clear();
  for (const entry of text.split(',').filter(Boolean)) {
    const match = /^([a-z0-9_.:-]+)=(kill|error|enospc|hang)(?:@(\d+))?$/.exec(entry.trim());
    if (!match) throw new TypeError(`malformed failpoint: ${entry}`);
    armed.set(match[1]!, { action: match[2] as FailpointAction, remaining: Number(match[3] ?? 1) });
  }
}

/** Passes a named failpoint: nothing happens unless it is armed. */
export async function failpoint(name: string): Promise<void> {
  passedFailpoints.add(name);
  const point = armed.get(name);
  if (!point || --point.remaining > 0) return;
  armed.delete(name);
  if (point.action === 'kill') process.kill(process.pid, 'SIGKILL');
  if (point.action === 'enospc')
    throw Object.assign(new Error(`failpoint ${name}: no space left on device`), { code: 'ENOSPC' });
  if (point.action === 'error') throw new Error(`failpoint ${name}`);
  hangingFailpoints.add(name);
  // Kept: what waits for a promise that nobody can settle is garbage, and its open files with it.
  await new Promise<void>((resolve) => forever.push(resolve));
}
