import type { BackupDeps } from '#src/console-api/index.ts';
import type { BaseBackups } from './base-backups.ts';
import type { PrivateClusters } from './private-clusters.ts';

/** Base backups of all servers, for people: those of private servers are listed beside the main one's, and begin with it. */
export function allBaseBackups(main: BaseBackups, clusters: Pick<PrivateClusters, 'list'>): BackupDeps {
  const others = () =>
    clusters.list().flatMap(({ name, backups }) => (backups ? [{ name, baseBackups: backups.baseBackups }] : []));
  return {
    async list() {
      const lists = await Promise.all([
        main.list(),
        ...others().map(async ({ name, baseBackups }) => {
          const { backups, away } = await baseBackups.list();
          return { backups: backups.map((backup) => ({ ...backup, cluster: name })), away };
        }),
      ]);
      return {
        backups: lists
          .flatMap(({ backups }) => backups)
          .sort((one, other) => other.finishedAt.localeCompare(one.finishedAt)),
        away: [...new Set(lists.flatMap(({ away }) => away))],
      };
    },
    start() {
      for (const { baseBackups } of others()) baseBackups.start();
      return main.start();
    },
    latest: () => main.latest(),
  };
}
