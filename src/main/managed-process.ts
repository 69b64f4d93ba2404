import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Log } from '#src/kernel/index.ts';
import type { ChildMessage } from './child.ts';
import { mainErrors } from './errors.ts';
import { freehold } from './self.ts';

export interface ManagedProcessOptions {
  /** For example `gateway-1`. */
  readonly name: string;
  readonly role: string;
  /** Folder of the program, with a slash at the end. */
  readonly programDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logFile: string;
  /** Time for the child to say that it is ready. */
  readonly startDeadlineMs: number;
  /** Longest pause before a child that keeps dying is started again. */
  readonly longestRestartMs: number;
  /** True while everything is being stopped: whatever ends now is not started again, whoever ended it. */
  readonly isStopping: () => boolean;
  readonly log: Log;
  /** A child that has sent a beat and then none for so long hangs: it is killed, and started again. Default: nobody waits for one. */
  readonly beatWithinMs?: number;
  /** Called with every child, before it can say anything. */
  readonly onSpawned?: (child: ChildProcess) => void;
}

/** Which cluster a shipper is for. Default: the main one. */
export const clusterVariable = 'SHIPPED_CLUSTER';
const entry = 'src/main/cli.ts';
const firstRestartMs = 200;
/** After a pause in which we ourselves did not run, a beat that is waiting is heard first. */
const hearingMs = 30_000;
/** A child that lived this long is well again: its next crash starts the back-off anew. */
const settledMs = 30_000;

/** One child role: started, watched, restarted with back-off when it dies by itself, stopped by SIGTERM, then SIGKILL. */
export class ManagedProcess {
  readonly #options: ManagedProcessOptions;
  #child: ChildProcess | undefined;
  #wanted = false;
  #restartMs: number;
  #timer: NodeJS.Timeout | undefined;
  #silence: NodeJS.Timeout | undefined;
  #isWatching = true;
  #restarts = 0;
  #exited: Promise<void> = Promise.resolve();

  constructor(options: ManagedProcessOptions) {
    this.#options = options;
    this.#restartMs = this.#firstRestartMs;
  }

  get #firstRestartMs(): number {
    return Math.min(firstRestartMs, this.#options.longestRestartMs);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }
  get restarts(): number {
    return this.#restarts;
  }

  /** Resolves when the child is ready; throws with the child's own reason when the first start fails. */
  async start(): Promise<Readonly<Record<string, string | number>>> {
    this.#wanted = true;
    return this.#spawn();
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#wanted = false;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (!child) return;
    child.kill('SIGTERM');
    const killer = setTimeout(() => {
      this.#options.log.warn('a process did not stop in time and is killed', { name: this.#options.name });
      child.kill('SIGKILL');
    }, deadlineMs);
    await this.#exited;
    clearTimeout(killer);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  #spawn(): Promise<Readonly<Record<string, string | number>>> {
    const { name, role, env, logFile, startDeadlineMs, log, programDir } = this.#options;
    const fd = openSync(logFile, 'a', 0o600);
    const startedAt = performance.now();
    const child = spawn(freehold.node, [...freehold.nodeArgs, `${programDir}${entry}`, 'run', role], {
      cwd: '/',
      env: { ...env },
      stdio: ['ignore', fd, fd, 'ipc'],
    });
    closeSync(fd);
    this.#child = child;
    this.#options.onSpawned?.(child);
    log.debug('started a process', { name, childPid: child.pid });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => fail(`${name} was not ready after ${startDeadlineMs / 1000} s; see ${logFile}`),
        startDeadlineMs,
      );
      const fail = (detail: string, hint?: string): void => {
        clearTimeout(timer);
        reject(mainErrors.FH_START_FAILED({ detail, ...(hint ? { hint } : {}) }));
        child.kill('SIGKILL');
      };
      child.on('message', (message: ChildMessage) => {
        if (message.type === 'beat') return this.#hear(child, message.isWatching);
        if (message.type === 'failed') return fail(message.text, message.hint);
        if (message.type !== 'ready') return;
        clearTimeout(timer);
        resolve(message.facts);
      });
      child.on('error', (error) => fail(`${name} could not be started: ${error.message}`));
      this.#exited = new Promise((exited) =>
        child.on('exit', (code, signal) => {
          this.#child = undefined;
          clearTimeout(this.#silence);
          fail(`${name} ended before it was ready (${signal ?? `exit code ${code}`}); see ${logFile}`);
          exited();
          if (this.#wanted) this.#restartLater(startedAt, signal ?? code);
        }),
      );
    });
  }

  /** Whoever watches everything else is watched here. */
  #hear(child: ChildProcess, isWatching: boolean): void {
    const { name, log, beatWithinMs } = this.#options;
    if (!isWatching && this.#isWatching) log.error('a process no longer sees how everything is; see its log', { name });
    this.#isWatching = isWatching;
    if (beatWithinMs === undefined) return;
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#silence = setTimeout(
        () => {
          log.error('a process does nothing any more and is killed', { name, silentMs: beatWithinMs });
          child.kill('SIGKILL');
        },
        Math.min(hearingMs, beatWithinMs),
      );
    }, beatWithinMs);
  }

  #restartLater(startedAt: number, cause: NodeJS.Signals | number | null): void {
    if (this.#options.isStopping()) return;
    if (performance.now() - startedAt > settledMs) this.#restartMs = this.#firstRestartMs;
    this.#options.log.error('a process died and is started again', {
      name: this.#options.name,
      cause,
      afterMs: this.#restartMs,
    });
    this.#timer = setTimeout(() => {
      if (this.#options.isStopping()) return;
      this.#restarts++;
      this.#spawn().then(
        () => this.#options.log.info('a process is back', { name: this.#options.name }),
        (error) => this.#options.log.error('a process did not come back', { name: this.#options.name, error }),
      );
    }, this.#restartMs);
    this.#restartMs = Math.min(this.#options.longestRestartMs, this.#restartMs * 2);
  }
}
