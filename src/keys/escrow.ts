import { FreeholdError, failpoint } from '#src/kernel/index.ts';
import type { ObjectName, RegionStore } from '#src/objects/index.ts';
import { keyErrors } from './errors.ts';
import { isKeyOwner, parseKeyId } from './owners.ts';
import {
  findSmallObject,
  keyIdOf,
  keyObjectName,
  keysPrefix,
  kitIdOf,
  kitObjectName,
  kitsPrefix,
  ownerPrefix,
} from './region-keys.ts';
import { createTurns } from './turns.ts';
import type { BackupKeys, KeyId, KeyOwner, KeyStore, RecoveryKits } from './types.ts';

export interface EscrowResult {
  /** Regions that were away, or took it not: the next `reconcile` does it. */
  readonly owed: readonly OwedRegion[];
}

export interface OwedRegion {
  readonly region: string;
  readonly error: FreeholdError;
}

export interface RegionReport {
  readonly region: string;
  /** Keys and kits that were missing and are there now. */
  readonly published: number;
  /** Copies of destroyed keys and replaced kits that were there and are gone now. */
  readonly removed: number;
  /** Objects with other bytes than ours: of another installation, or damaged. A person must look; nothing was changed. */
  readonly conflicts: readonly ObjectName[];
  /** Keys and kits that this key store has never heard of. A person must look; nothing was removed. */
  readonly unknown: readonly ObjectName[];
  /** Why the region may still differ from the key store. */
  readonly owed?: FreeholdError;
}

/**
 * Keeps the regions' copies of wrapped keys and kits equal to the key store. What is owed is written nowhere but in the key store itself: every
 * key and kit that it has must be in every region, every owner in `destroyed/` and every retired kit in none. So nothing that a crash or a region
 * that is away interrupts can be forgotten, and a region that comes back with old copies is cleaned.
 */
export interface KeyEscrow {
  /**
   * To be called before the first byte is sealed under a key. Resolves when every region that answers holds it.
   * FH_KEY_NOT_ESCROWED: none does; FH_STORAGE_FULL: none does, and one has no room. FH_KEY_ESCROW_CONFLICT: one holds another key of this name.
   */
  publish(keyId: KeyId): Promise<EscrowResult>;
  /** The same for all kits, before anybody is shown the page of a new one; then `retireKits`, then `reconcile`. */
  publishKits(): Promise<EscrowResult>;
  /** Destroys the owner's key: in the key store first, for ever, then in every region. Idempotent. */
  forget(owner: KeyOwner): Promise<EscrowResult>;
  /** Makes every region equal. Every few minutes, and when a region is back. */
  reconcile(): Promise<readonly RegionReport[]>;
}

type Outcome = 'created' | 'exists' | 'absent';

/** A report that is being written. */
interface Report extends Omit<RegionReport, 'published' | 'removed'> {
  published: number;
  removed: number;
  readonly conflicts: ObjectName[];
  readonly unknown: ObjectName[];
}

export interface EscrowDeps {
  readonly keys: BackupKeys & RecoveryKits;
  readonly regions: readonly RegionStore[];
}

export function createKeyEscrow({ keys, regions }: EscrowDeps): KeyEscrow {
  if (regions.length === 0) throw new TypeError('an escrow needs a region');
  const inTurn = createTurns();
  const copies = regions.map((region) => createCopies(region));

  /** Works on every region at once; an answer of the product is owed, anything else is a mistake of ours and thrown. */
  async function everywhere(work: (copy: RegionCopies) => Promise<unknown>): Promise<OwedRegion[]> {
    const tried = copies.map(async (copy) => {
      try {
        await work(copy);
        return [];
      } catch (error) {
        return [{ region: copy.region.region, error: owedOrThrown(error) }];
      }
    });
    return (await settleAll(tried)).flat();
  }

  function requireOne(what: string, owed: readonly OwedRegion[]): EscrowResult {
    const conflict = owed.find(({ error }) => error.code === 'FH_KEY_ESCROW_CONFLICT');
    if (conflict) throw conflict.error;
    if (owed.length < copies.length) return { owed };
    // Who has no room can be helped; he would look for a network that is away.
    const full = owed.find(({ error }) => error.code === 'FH_STORAGE_FULL');
    if (full) throw full.error;
    throw keyErrors.FH_KEY_NOT_ESCROWED({ detail: what, cause: owed[0]!.error });
  }

  async function reconcileRegion(copy: RegionCopies): Promise<RegionReport> {
    const report: Report = { region: copy.region.region, published: 0, removed: 0, conflicts: [], unknown: [] };
    try {
      // What the region holds is read first: a key is in the key store before it is in a region, so all that is read here is known below.
      const held = await copy.list();
      // What has to go goes first: it must not wait for room or for the right to write.
      const left = await removeDestroyed(copy, held, report);
      const kept = await publishMissing(copy, new Set(left), report);
      await removeRetired(copy, left, kept, report);
      return report;
    } catch (error) {
      return { ...report, owed: owedOrThrown(error) };
    }
  }

  async function removeDestroyed(copy: RegionCopies, held: readonly ObjectName[], report: Report) {
    const destroyed = new Set<string>(await keys.destroyedOwners());
    const left: ObjectName[] = [];
    for (const name of held) {
      const keyId = keyIdOf(name);
      if (!keyId || !destroyed.has(parseKeyId(keyId).owner)) left.push(name);
      else {
        await copy.remove(name);
        report.removed++;
      }
    }
    return left;
  }

  /** @returns the names that belong into a region */
  async function publishMissing(copy: RegionCopies, held: ReadonlySet<ObjectName>, report: Report) {
    const kept = new Set<ObjectName>();
    const take = async (name: ObjectName, ensure: () => Promise<Outcome>) => {
      kept.add(name);
      if (copy.isVerified(name)) return;
      try {
        if ((await ensure()) === 'created') report.published++;
      } catch (error) {
        if ((error as FreeholdError).code !== 'FH_KEY_ESCROW_CONFLICT') throw error;
        report.conflicts.push(name);
      }
    };
    for await (const keyId of keys.keyIds()) {
      const name = keyObjectName(keyId);
      await take(name, () => ensureKey(copy, keyId, held.has(name)));
    }
    for (const { kitId, sealedRoot } of await keys.recoveryKits()) {
      const name = kitObjectName(kitId);
      await take(name, () => copy.ensure(name, sealedRoot, held.has(name)));
    }
    return kept;
  }

  async function removeRetired(
    copy: RegionCopies,
    left: readonly ObjectName[],
    kept: ReadonlySet<ObjectName>,
    report: Report,
  ) {
    const retired = new Set<ObjectName>((await keys.retiredKits()).map(kitObjectName));
    // A replaced kit goes only where another one lies, so that every region always has a kit that opens.
    const hasKit = [...kept].some((name) => kitIdOf(name) && copy.isVerified(name));
    for (const name of left) {
      if (retired.has(name) && hasKit) {
        await copy.remove(name);
        report.removed++;
      } else if (!kept.has(name) && !retired.has(name)) report.unknown.push(name);
    }
  }

  async function ensureKey(copy: RegionCopies, keyId: KeyId, isHeld: boolean): Promise<Outcome> {
    return inTurn(parseKeyId(keyId).owner, async () => {
      try {
        return await copy.ensure(keyObjectName(keyId), await keys.wrappedKey(keyId), isHeld);
      } catch (error) {
        if ((error as FreeholdError).code === 'FH_KEY_DESTROYED') return 'absent';
        throw error;
      }
    });
  }

  return {
    async publish(keyId) {
      // In the owner's turn, so that no copy is written of a key that is being destroyed.
      return inTurn(parseKeyId(keyId).owner, async () => {
        const [name, bytes] = [keyObjectName(keyId), await keys.wrappedKey(keyId)];
        return requireOne(keyId, await everywhere(async (copy) => copy.isVerified(name) || copy.ensure(name, bytes)));
      });
    },

    async publishKits() {
      const kits = await keys.recoveryKits();
      const owed = await everywhere(async (copy) => {
        for (const { kitId, sealedRoot } of kits)
          if (!copy.isVerified(kitObjectName(kitId))) await copy.ensure(kitObjectName(kitId), sealedRoot);
      });
      return requireOne('recovery kits', owed);
    },

    async forget(owner) {
      if (!isKeyOwner(owner)) throw new TypeError('not an owner of keys');
      return inTurn(owner, async () => {
        await keys.destroyKey(owner);
        await failpoint('keys.escrow.destroyed');
        return { owed: await everywhere((copy) => copy.removeAll(owner)) };
      });
    },

    async reconcile() {
      return settleAll(copies.map(reconcileRegion));
    },
  };
}

/** A key store whose tenant keys lie in the regions before anybody can use them, and are gone from there when they are destroyed. */
export function escrowTenantKeys(keys: KeyStore, escrow: KeyEscrow): KeyStore {
  return {
    ...keys,
    async createTenantKey(tenantId) {
      await keys.createTenantKey(tenantId);
      await escrow.publish(`${tenantId}.1`);
    },
    async destroyTenantKey(tenantId) {
      await escrow.forget(tenantId);
    },
  };
}

/** The copies in one region, and which of them this process has seen to be right. Names only: no key is kept. */
interface RegionCopies {
  readonly region: RegionStore;
  isVerified(name: ObjectName): boolean;
  /** Writes it, unless it is there; `isHeld`: it probably is. FH_KEY_ESCROW_CONFLICT when other bytes have the name. */
  ensure(name: ObjectName, bytes: Buffer, isHeld?: boolean): Promise<Outcome>;
  remove(name: ObjectName): Promise<void>;
  removeAll(owner: KeyOwner): Promise<void>;
  /** Every key and kit; what is not there any more counts as never seen. */
  list(): Promise<ObjectName[]>;
}

function createCopies(region: RegionStore): RegionCopies {
  const verified = new Set<ObjectName>();

  async function listBelow(prefix: string): Promise<ObjectName[]> {
    const names: ObjectName[] = [];
    for await (const { name } of region.list(prefix)) names.push(name);
    return names;
  }

  async function remove(name: ObjectName): Promise<void> {
    verified.delete(name);
    await region.remove(name);
    await failpoint('keys.escrow.removed');
  }

  return {
    region,
    remove,
    isVerified: (name) => verified.has(name),
    async ensure(name, bytes, isHeld = false) {
      const held = isHeld ? await findSmallObject(region, name) : undefined;
      const outcome = held ? 'exists' : (await region.put(name, bytes)).outcome;
      await failpoint('keys.escrow.put');
      if (outcome === 'exists' && !(held ?? (await findSmallObject(region, name)))?.equals(bytes))
        throw keyErrors.FH_KEY_ESCROW_CONFLICT({ detail: `region ${region.region}: ${name}` });
      verified.add(name);
      return outcome;
    },
    async removeAll(owner) {
      for (const name of await listBelow(ownerPrefix(owner))) await remove(name);
    },
    async list() {
      const seen = new Set(verified);
      const names = [...(await listBelow(keysPrefix)), ...(await listBelow(kitsPrefix))];
      // Only what was verified before the listing began: what came after it may not be in it.
      const found = new Set(names);
      for (const name of seen) if (!found.has(name)) verified.delete(name);
      return names;
    },
  };
}

function owedOrThrown(error: unknown): FreeholdError {
  if (error instanceof FreeholdError) return error;
  throw error;
}

/** Like Promise.all, but nothing is still under way when it rejects. */
async function settleAll<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
