/** Runs at once: of an installation, and of one tenant. Who waits comes in turn, past those whose tenant has its share already. */
export function createPlaces(of: { readonly total: number; readonly perOwner: number }): {
  hold<T>(owner: string, work: () => Promise<T>): Promise<T>;
} {
  const held = new Map<string, number>();
  const waiting: { readonly owner: string; readonly go: () => void }[] = [];
  let free = of.total;

  const mayGo = (owner: string) => free > 0 && (held.get(owner) ?? 0) < of.perOwner;
  function take(owner: string): void {
    free--;
    held.set(owner, (held.get(owner) ?? 0) + 1);
  }
  function giveBack(owner: string): void {
    free++;
    const left = held.get(owner)! - 1;
    if (left > 0) held.set(owner, left);
    else held.delete(owner);
    const next = waiting.findIndex((one) => mayGo(one.owner));
    if (next < 0) return;
    const [one] = waiting.splice(next, 1);
    take(one!.owner);
    one!.go();
  }

  return {
    async hold(owner, work) {
      if (mayGo(owner)) take(owner);
      else await new Promise<void>((go) => waiting.push({ owner, go }));
      try {
        return await work();
      } finally {
        giveBack(owner);
      }
    },
  };
}
