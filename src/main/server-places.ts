import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mainErrors } from './errors.ts';
import type { Folders } from './folders.ts';

/** Users are found by number: so many are looked at. */
const mostServers = 500;
const removing = '.removing';

/** Where servers that are there for one tenant lie, one folder each, and the number by which the users of each are found. */
export function createServerPlaces(folders: Pick<Folders, 'clusters'>) {
  const homeOf = (cluster: string): string => join(folders.clusters, parseName(cluster));
  const noteOf = (home: string): string => join(home, 'server.json');

  /** By their names. What a kill has left of a removed one goes here. */
  function known(): string[] {
    for (const name of readdirSync(folders.clusters))
      if (name.endsWith(removing)) rmSync(join(folders.clusters, name), { recursive: true, force: true });
    return readdirSync(folders.clusters).filter((name) => existsSync(noteOf(join(folders.clusters, name))));
  }

  function slotOf(cluster: string): number {
    return (JSON.parse(readFileSync(noteOf(homeOf(cluster)), 'utf8')) as { slot: number }).slot;
  }

  return {
    homeOf,
    known,
    slotOf,
    has: (cluster: string): boolean => existsSync(noteOf(homeOf(cluster))),
    /** The note comes last of what makes the place a server's, and is written whole. */
    take(cluster: string): void {
      const taken = new Set(known().map(slotOf));
      const slot = Array.from({ length: mostServers }, (_, index) => index + 1).find((each) => !taken.has(each));
      if (slot === undefined)
        throw mainErrors.FH_SERVER_MISSING({ detail: `there are ${mostServers} servers already` });
      const home = homeOf(cluster);
      mkdirSync(home, { recursive: true, mode: 0o711 });
      writeFileSync(`${noteOf(home)}.new`, `${JSON.stringify({ slot })}\n`, { mode: 0o600, flush: true });
      renameSync(`${noteOf(home)}.new`, noteOf(home));
    },
    /** At once no server's any more. */
    remove(cluster: string): void {
      const home = homeOf(cluster);
      if (existsSync(home)) renameSync(home, `${home}${removing}`);
      known();
    },
  };
}

/** Control is asked by others: no name may lead out of the folder. */
function parseName(cluster: string): string {
  if (!/^c[0-9a-hjkmnp-tv-z]{8}$/.test(cluster)) throw new TypeError('not the name of a private server');
  return cluster;
}
