/** The processes of one installation, found by its data folder; nothing here touches any other. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export interface InstalledProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly role: 'supervisor' | 'control' | 'gateway' | 'postmaster' | 'backend' | 'initdb' | 'other';
  readonly command: string;
}

/** Living processes that work for this data folder: by their settings, their arguments or the folder they stand in. */
export function findProcesses(dataDir: string): InstalledProcess[] {
  const found: InstalledProcess[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const pid = Number(entry);
    const read = (file: string): string => {
      try {
        return readFileSync(`/proc/${pid}/${file}`, 'latin1');
      } catch {
        return '';
      }
    };
    const command = read('cmdline').replaceAll('\0', ' ').trim();
    // A zombie has no command line any more.
    if (command === '') continue;
    const environment = read('environ').split('\0');
    const isOurs =
      environment.includes(`FREEHOLD_DATA=${dataDir}`) || command.includes(dataDir) || standsIn(pid, dataDir);
    if (!isOurs) continue;
    const parentPid = Number(/^PPid:\s+(\d+)/m.exec(read('status'))?.[1] ?? 0);
    found.push({ pid, parentPid, role: roleOf(command), command });
  }
  // Backends have the postmaster's environment and working folder but a title of their own.
  return found;
}

export function pidsOf(dataDir: string, role: InstalledProcess['role']): number[] {
  return findProcesses(dataDir)
    .filter((one) => one.role === role)
    .map(({ pid }) => pid);
}

function roleOf(command: string): InstalledProcess['role'] {
  if (/cli\.ts run control$/.test(command)) return 'control';
  if (/cli\.ts run gateway$/.test(command)) return 'gateway';
  if (/cli\.ts up\b/.test(command)) return 'supervisor';
  if (/^postgres:/.test(command)) return 'backend';
  if (/bin\/postgres -D /.test(command)) return 'postmaster';
  if (/bin\/initdb /.test(command)) return 'initdb';
  return 'other';
}

function standsIn(pid: number, dataDir: string): boolean {
  try {
    const folder = readlinkSync(`/proc/${pid}/cwd`);
    // Whatever became of the folder: what was removed below a server ends in ` (deleted)`.
    return folder.startsWith(join(dataDir, 'pg/'));
  } catch {
    return false;
  }
}
