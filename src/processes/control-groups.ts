import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface ProcessLimits {
  readonly memoryBytes: number;
  /** Cores, for example 0.5. */
  readonly cpus: number;
  /** Processes and threads. */
  readonly processes: number;
}

type File = readonly [controller: string, file: string, value: string];

/** One group per sandbox. Kernel documentation: admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1/. */
export interface ControlGroups {
  readonly version: 1 | 2;
  /** Folders whose `cgroup.procs` a process writes itself into before anything else. Limits are in force then. */
  make(name: string, limits: ProcessLimits): Promise<readonly string[]>;
  /** Ends every process in it and removes it; resolves when none is left. */
  end(name: string): Promise<void>;
  /** After the last one: nothing of ours is left on the machine. */
  close(): Promise<void>;
}

const root = '/sys/fs/cgroup';
const controllers = ['memory', 'pids', 'cpu'] as const;
const cpuPeriodUs = 100_000;

/**
 * What this machine has of them; undefined: nothing bounds what an app uses together, and `doctor` says so.
 * @param parent name of the folder that holds all of ours
 */
export async function findControlGroups(parent: string): Promise<ControlGroups | undefined> {
  const unified = join(root, 'cgroup.controllers');
  if (existsSync(unified)) {
    const available = readFileSync(unified, 'utf8').split(/\s/);
    return controllers.every((name) => available.includes(name)) ? tryGroups(2, parent) : undefined;
  }
  return controllers.every((name) => existsSync(join(root, name, 'cgroup.procs'))) ? tryGroups(1, parent) : undefined;
}

async function tryGroups(version: 1 | 2, parent: string): Promise<ControlGroups | undefined> {
  const groups = version === 2 ? groupsV2(parent) : groupsV1(parent);
  try {
    await groups.make('try', { memoryBytes: 64 * 2 ** 20, cpus: 1, processes: 16 });
    await groups.end('try');
    await groups.close();
    return groups;
  } catch {
    // Not root, read-only, or the groups of this machine are somebody else's.
    return undefined;
  }
}

function groupsV2(parent: string): ControlGroups {
  const folderOf = (name: string) => join(root, parent, name);
  return {
    version: 2,
    async make(name, limits) {
      await mkdir(folderOf(name), { recursive: true });
      for (const folder of [root, join(root, parent)])
        await writeFile(join(folder, 'cgroup.subtree_control'), controllers.map((one) => `+${one}`).join(' '));
      await writeAll(folderOf(name), [
        ['memory', 'memory.max', String(limits.memoryBytes)],
        ['memory', 'memory.swap.max', '0'],
        // The whole app, not the one process that asked last.
        ['memory', 'memory.oom.group', '1'],
        ['pids', 'pids.max', String(limits.processes)],
        ['cpu', 'cpu.max', `${Math.round(limits.cpus * cpuPeriodUs)} ${cpuPeriodUs}`],
      ]);
      return [folderOf(name)];
    },
    end: (name) => endGroup(folderOf(name)),
    close: () => removeFolder(join(root, parent)),
  };
}

function groupsV1(parent: string): ControlGroups {
  const folderOf = (controller: string, name: string) => join(root, controller, parent, name);
  return {
    version: 1,
    async make(name, limits) {
      for (const controller of controllers) await mkdir(folderOf(controller, name), { recursive: true });
      const files: readonly File[] = [
        ['memory', 'memory.limit_in_bytes', String(limits.memoryBytes)],
        ['pids', 'pids.max', String(limits.processes)],
        ['cpu', 'cpu.cfs_period_us', String(cpuPeriodUs)],
        ['cpu', 'cpu.cfs_quota_us', String(Math.round(limits.cpus * cpuPeriodUs))],
      ];
      for (const file of files) await writeAll(folderOf(file[0], name), [file]);
      return controllers.map((controller) => folderOf(controller, name));
    },
    async end(name) {
      await Promise.all(controllers.map((controller) => endGroup(folderOf(controller, name))));
    },
    async close() {
      for (const controller of controllers) await removeFolder(join(root, controller, parent));
    },
  };
}

async function writeAll(folder: string, files: readonly File[]): Promise<void> {
  for (const [, file, value] of files)
    await writeFile(join(folder, file), value).catch((error) => {
      // Kernels without accounting of swap do not have it.
      if (file !== 'memory.swap.max') throw error;
    });
}

/** One that is in use meanwhile stays. */
async function removeFolder(path: string): Promise<void> {
  await rmdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'EBUSY') throw error;
  });
}

const endDeadlineMs = 60_000;

/** A process that is killed ends when it is given the processor, which a group with a small share of it may wait for. */
async function endGroup(folder: string): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += 20) {
    for (const pid of await processesIn(folder)) kill(pid);
    try {
      return await rmdir(folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return;
      if (code !== 'EBUSY' || waitedMs > endDeadlineMs) throw error;
      await delay(20);
    }
  }
}

async function processesIn(folder: string): Promise<number[]> {
  const text = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean).map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Groups that an earlier run left behind. */
export async function removeLeftGroups(groups: ControlGroups, parent: string): Promise<void> {
  const folder = groups.version === 2 ? join(root, parent) : join(root, 'memory', parent);
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await groups.end(entry.name).catch(() => undefined);
}
