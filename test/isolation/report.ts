/** What was tried and what came of it. A finding is a leak, or a barrier that does not stand by itself. */
export interface Finding {
  readonly group: string;
  readonly probe: string;
  readonly detail: string;
}

/** Thrown at the first finding when one is enough. */
export class FoundEnough extends Error {}

export class Report {
  readonly #stopAtFirst: boolean;
  readonly findings: Finding[] = [];
  readonly byGroup = new Map<string, number>();
  #group = 'start';

  constructor(stopAtFirst = false) {
    this.#stopAtFirst = stopAtFirst;
  }

  /** Probes from here on belong to this group. */
  begin(group: string): void {
    this.#group = group;
    this.byGroup.set(group, this.byGroup.get(group) ?? 0);
  }

  get group(): string {
    return this.#group;
  }

  get probes(): number {
    return [...this.byGroup.values()].reduce((sum, count) => sum + count, 0);
  }

  /** One probe: `holds` is what isolation promises. */
  check(probe: string, holds: boolean, detail: string | (() => string) = ''): boolean {
    this.byGroup.set(this.#group, (this.byGroup.get(this.#group) ?? 0) + 1);
    if (!holds) this.find(probe, typeof detail === 'function' ? detail() : detail);
    return holds;
  }

  find(probe: string, detail: string): void {
    this.findings.push({ group: this.#group, probe, detail: detail.slice(0, 600) });
    if (this.#stopAtFirst) throw new FoundEnough(probe);
  }
}
