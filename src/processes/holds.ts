import { processErrors } from './errors.ts';

/** Who has a folder: sandboxes that see it, or one who removes or renames it. Root does neither where an app or a build could still write and lead it elsewhere. */
export interface Holds {
  /** Shares the folders until what it returns is called. Throws FH_APP_BUSY when somebody has one of them alone. */
  share(folders: readonly string[]): () => void;
  /** Throws FH_APP_BUSY when anybody has it. */
  alone<T>(folder: string, work: () => Promise<T>): Promise<T>;
}

const alone = -1;

/** Every answer is given in one turn: nothing can come in between. */
export function createHolds(): Holds {
  const held = new Map<string, number>();
  return {
    share(folders) {
      if (folders.some((folder) => held.get(folder) === alone))
        throw processErrors.FH_APP_BUSY({ detail: 'a folder of it is being removed or renamed' });
      for (const folder of folders) held.set(folder, (held.get(folder) ?? 0) + 1);
      let isShared = true;
      return () => {
        if (!isShared) return;
        isShared = false;
        for (const folder of folders) {
          const left = held.get(folder)! - 1;
          if (left > 0) held.set(folder, left);
          else held.delete(folder);
        }
      };
    },
    async alone(folder, work) {
      if (held.has(folder)) throw processErrors.FH_APP_BUSY({ detail: 'a sandbox still has this folder' });
      held.set(folder, alone);
      try {
        return await work();
      } finally {
        held.delete(folder);
      }
    },
  };
}
