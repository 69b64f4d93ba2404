/** The processes of an installation as the operating system sees them. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Freehold } from './harness.ts';

export interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly user: string;
  readonly residentBytes: number;
  readonly args: string;
}

/** The supervisor and everything below it. */
export function listProcesses(freehold: Freehold): Process[] {
  const table = execFileSync('ps', ['-eo', 'pid=,ppid=,user:32=,rss=,args='], { encoding: 'utf8' });
  const all = table
    .trim()
    .split('\n')
    .map((line) => {
      const [, pid, parent, user, rss, args] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(\d+)\s+(.*)$/.exec(line)!;
      return { pid: Number(pid), parent: Number(parent), user: user!, residentBytes: Number(rss) * 1024, args: args! };
    });
  const found = all.filter(({ pid }) => pid === freehold.ready.pid);
  for (const process of found) found.push(...all.filter(({ parent }) => parent === process.pid));
  return found;
}

/** Empty when it has ended meanwhile. */
export function readCommandLine(pid: number): string {
  return unlessGone(() => [readFileSync(`/proc/${pid}/cmdline`, 'latin1')]).join('');
}

/** Empty when it has ended meanwhile. */
export function readEnvironment(pid: number): string {
  return unlessGone(() => [readFileSync(`/proc/${pid}/environ`, 'latin1')]).join('');
}

/** Empty when it has ended meanwhile. */
export function readStatus(pid: number): string {
  return unlessGone(() => [readFileSync(`/proc/${pid}/status`, 'utf8')]).join('');
}

/** Numbers of the user and the groups it acts as, groups as a list with commas. */
export function readIdentity(pid: number): { uid: string; gid: string; groups: string } {
  const status = readStatus(pid);
  const words = (name: string) => (new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1] ?? '').trim().split(/\s+/);
  return { uid: words('Uid')[1]!, gid: words('Gid')[1]!, groups: words('Groups').join(',') };
}

/** TCP sockets on which one of these processes listens, from the kernel's own tables (proc(5)). */
export function listListeners(pids: readonly number[]): { address: string; port: number }[] {
  const inodes = new Set(
    pids.flatMap((pid) =>
      unlessGone(() => readdirSync(`/proc/${pid}/fd`)).flatMap((fd) => {
        const link = unlessGone(() => [readlinkSync(`/proc/${pid}/fd/${fd}`)])[0] ?? '';
        return /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [];
      }),
    ),
  );
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    readFileSync(table, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === listening && inodes.has(fields[9]!))
      .map((fields) => parseAddress(fields[1]!)),
  );
}

/** Processes end and files are closed between two looks: a backend, a dump. */
function unlessGone(read: () => string[]): string[] {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

const listening = '0A';

function parseAddress(text: string): { address: string; port: number } {
  const [hex, port] = text.split(':') as [string, string];
  // Words of four bytes in the machine's order, which is little-endian wherever this runs.
  const bytes = [...Buffer.from(hex, 'hex').swap32()];
  const isLoopback6 = bytes.length === 16 && bytes.slice(0, 15).every((byte) => byte === 0) && bytes[15] === 1;
  const address = bytes.length === 4 ? bytes.join('.') : isLoopback6 ? '::1' : Buffer.from(bytes).toString('hex');
  return { address, port: Number.parseInt(port, 16) };
}
