import { rename, rm, symlink } from 'node:fs/promises';
import { randomName } from '#src/kernel/index.ts';

/**
 * The stable address of the primary: a symbolic link with the name of a server's socket, in a folder where only we can write. Each
 * server listens in a folder of its own; a failover moves the link, and whoever connects by it comes to the new primary.
 */
export async function pointSocketLink(link: string, socket: string): Promise<void> {
  const temporary = `${link}.${randomName(8)}.new`;
  await symlink(socket, temporary);
  await rename(temporary, link);
}

/** Nobody new comes in: connecting fails at once with ENOENT, which clients take for "try again". */
export function removeSocketLink(link: string): Promise<void> {
  return rm(link, { force: true });
}
