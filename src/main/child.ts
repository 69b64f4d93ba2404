import { flushCompileCache } from 'node:module';
import { createLog, type Log } from '#src/kernel/index.ts';
import type { Config } from './config.ts';
import { dropPrivileges, findOsUsers, groupsOf, type Part } from './os-users.ts';
import { Shutdown } from './shutdown.ts';

/** What a child tells the supervisor over the IPC channel. */
export type ChildMessage =
  | { readonly type: 'ready'; readonly facts: Readonly<Record<string, string | number>> }
  /** Now and then, by those who are watched: silence means that it hangs. */
  | { readonly type: 'beat'; readonly isWatching: boolean }
  | { readonly type: 'failed'; readonly code: string; readonly text: string; readonly hint?: string };

export interface Child {
  readonly log: Log;
  readonly shutdown: Shutdown;
  /** Gives up root, when we have it. Everything that needs root (reading the program, binding low ports) comes before. */
  drop(): void;
  ready(facts: Readonly<Record<string, string | number>>): void;
  beat(facts: { readonly isWatching: boolean }): void;
}

/** The frame around one process of ours: log, signals, the end when the supervisor is gone. */
export function createChild(part: Exclude<Part, 'postgres' | 'standby'>, config: Config): Child {
  const log = createLog({ level: config.logLevel, base: { process: part, pid: process.pid } });
  const shutdown = new Shutdown(log);
  const users = findOsUsers();
  // Group-readable for files that control must read (exports), closed to everybody else.
  process.umask(0o007);

  let stopping = false;
  const stop = (reason: string): void => {
    if (stopping) {
      log.warn('stopping at once', { reason });
      process.exit(1);
    }
    stopping = true;
    log.info('stopping', { reason });
    shutdown.run().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  // Ctrl-C reaches the whole foreground group; the supervisor decides the order.
  process.on('SIGINT', () => {
    if (!process.channel) stop('SIGINT');
  });
  if (process.channel) process.on('disconnect', () => stop('the supervisor is gone'));
  process.on('uncaughtException', (error) => {
    log.error('uncaught exception', { error });
    process.exit(70);
  });
  process.on('unhandledRejection', (error) => {
    log.error('unhandled rejection', { error });
    process.exit(70);
  });

  return {
    log,
    shutdown,
    drop: () => {
      flushCompileCache();
      if (users) dropPrivileges(users[part], groupsOf(part, users));
    },
    ready: (facts) => {
      log.info('ready');
      process.send?.({ type: 'ready', facts } satisfies ChildMessage);
    },
    beat: ({ isWatching }) => {
      // A supervisor that is gone is noticed by the end of the channel.
      process.send?.({ type: 'beat', isWatching } satisfies ChildMessage, undefined, undefined, () => {});
    },
  };
}
