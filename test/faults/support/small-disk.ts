/** A file system of its own for one installation, small enough to be filled. Needs the right to mount. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmdirSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { newFolder } from '../../acceptance/harness.ts';

export interface SmallDisk {
  readonly folder: string;
  /** Takes every byte that is left. */
  fill(): void;
  /** Takes every byte that is left but these, also what others give back, until `free`. */
  keepFilled(leaveBytes: number): void;
  /** Gives them back. */
  free(): void;
  unmount(): void;
}

/** Whether this process has CAP_SYS_ADMIN: capabilities(7), bit 21. */
export function mayMount(): boolean {
  if (process.platform !== 'linux') return false;
  const effective = /^CapEff:\s+([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return ((BigInt(`0x${effective ?? 0}`) >> 21n) & 1n) === 1n;
}

/** undefined where mounting is not allowed. */
export function mountSmallDisk(sizeMiB: number): SmallDisk | undefined {
  if (!mayMount()) return undefined;
  const folder = newFolder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m,mode=0711`, 'freehold-fault-suite', folder]);
  const fillers: string[] = [];
  let keeper: NodeJS.Timeout | undefined;
  const take = (wantedBytes: number): void => {
    const path = join(folder, `filler-${fillers.length}`);
    fillers.push(path);
    const file = openSync(path, 'w');
    try {
      let bytes = 0;
      for (let chunk = 1024 * 1024; chunk >= 512 && bytes < wantedBytes; ) {
        try {
          bytes += writeSync(file, Buffer.alloc(Math.min(chunk, wantedBytes - bytes), 1));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          chunk /= 2;
        }
      }
    } finally {
      closeSync(file);
    }
  };
  const takeAllBut = (leaveBytes: number): void => {
    const { bavail, bsize } = statfsSync(folder);
    if (bavail * bsize > leaveBytes) take(bavail * bsize - leaveBytes);
  };
  return {
    folder,
    fill: () => take(Number.POSITIVE_INFINITY),
    keepFilled(leaveBytes) {
      takeAllBut(leaveBytes);
      // Log segments and chunks that nobody needs any more are removed in the background.
      keeper = setInterval(takeAllBut, 20, leaveBytes);
    },
    free() {
      clearInterval(keeper);
      for (const path of fillers.splice(0)) rmSync(path, { force: true });
    },
    unmount() {
      clearInterval(keeper);
      execFileSync('umount', [folder]);
      rmdirSync(folder);
    },
  };
}
