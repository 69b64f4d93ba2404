/** A change of one or two texts of the product that lets something through. */
export interface PlantedLeak {
  /** Unique, in words. */
  readonly name: string;
  /** What somebody could do then. */
  readonly threat: string;
  readonly edits: readonly Edit[];
  /** Groups of probes that must notice; any one of them does. */
  readonly groups: readonly string[];
  /** Only a server that Freehold set up itself shows it, so `up` is run. */
  readonly needsOwnServer?: boolean;
}

export interface Edit {
  /** Path below the top of the repository. */
  readonly file: string;
  /** Occurs exactly once in the file; if it does not, the run fails: the leak would not have been planted. */
  readonly find: string;
  readonly replace: string;
}
