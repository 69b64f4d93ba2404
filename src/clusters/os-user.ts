import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface OsUser {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** The operating system user of this name, from the system's own directory; undefined when there is none. */
export async function findOsUser(name: string): Promise<OsUser | undefined> {
  const id = async (flag: string) => Number((await promisify(execFile)('id', [flag, '--', name])).stdout);
  try {
    return { uid: await id('-u'), gid: await id('-g'), name };
  } catch {
    return undefined;
  }
}
