import type { AppCommand } from './types.ts';

/** Builds versions. Another process does it, in a sandbox (docs/decisions/0038). */
export interface AppInstaller {
  /**
   * Lays out the archive as the version's folder, runs `build` in it, and makes it read-only. Resolves when it is durable; may be called again after a crash, also
   * when it had finished. Rejects with the last lines of the build when that fails: what it throws is shown to staff.
   */
  install(order: InstallOrder): Promise<void>;
  /**
   * Whether the version's folder is there. It is not where the control database was restored on another machine: then adding the same content again builds it
   * there. Not given: it always is.
   */
  isInstalled?(version: Pick<InstallOrder, 'app' | 'version' | 'digest'>): Promise<boolean>;
  /** Removes the version's folder; does nothing when it is gone. */
  remove(version: Pick<InstallOrder, 'app' | 'version' | 'digest'>): Promise<void>;
}

export interface InstallOrder {
  readonly app: string;
  readonly version: string;
  /** Of the content, hex: the name of its folder. */
  readonly digest: string;
  /** Absolute; inspected, and stays there until `install` has ended. For `unpackVersion`. */
  readonly archivePath: string;
  /** undefined: nothing is to be built. */
  readonly build: AppCommand | undefined;
}
