/** What processes of an installation use, from /proc: Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Processes {
  readonly supervisor: number;
  readonly control: readonly number[];
  readonly gateways: readonly number[];
  /** The server process first, then its backends and workers. */
  readonly postgres: readonly number[];
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** Clock ticks of the process itself, and of its children that have ended. */
  readonly own: number;
  readonly ended: number;
}

/** A hundredth of a second on every Linux that Node.js runs on (USER_HZ). */
const tickMs = 10;

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may hold spaces.
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    return { pid, parent: fields[1]!, own: fields[11]! + fields[12]!, ended: fields[13]! + fields[14]! };
  } catch {
    return undefined;
  }
}

function childrenOf(pid: number, all: readonly Stat[]): number[] {
  return all.filter((stat) => stat.parent === pid).map((stat) => stat.pid);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** The process and everything below it. */
export function withDescendants(pid: number): number[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? []);
  const below = (one: number): number[] => [one, ...childrenOf(one, all).flatMap(below)];
  return below(pid);
}

export function findProcesses(supervisor: number): Processes {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? []);
  const children = childrenOf(supervisor, all).map((pid) => ({ pid, command: commandOf(pid) }));
  const server = children.find(({ command }) => /\/postgres /.test(command))?.pid;
  return {
    supervisor,
    control: children.filter(({ command }) => command.endsWith('run control')).map(({ pid }) => pid),
    gateways: children.filter(({ command }) => command.endsWith('run gateway')).map(({ pid }) => pid),
    postgres: server === undefined ? [] : [server, ...childrenOf(server, all)],
  };
}

/** Processor time so far. For a PostgreSQL server the backends that have ended are counted as well. */
export function cpuMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid, index) => {
    const stat = readStat(pid);
    return sum + (stat ? stat.own + (index === 0 ? stat.ended : 0) : 0) * tickMs;
  }, 0);
}

/** The same, in user mode only. */
export function userCpuMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
      return sum + Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[11]) * tickMs;
    } catch {
      return sum;
    }
  }, 0);
}

/** Memory with shared pages counted in part (PSS), so that sums are right. */
export function pssBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    try {
      return sum + Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))![1]) * 1024;
    } catch {
      return sum;
    }
  }, 0);
}

/** Load averages of 1, 5 and 15 minutes: how busy the machine was with other work. */
export function loadAverage(): string {
  return readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' ');
}
