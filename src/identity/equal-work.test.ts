/**
 * Whether there is such a user, link or token makes no difference to the work: the same statements in the same order, the same number of password hashes, the same answer.
 * Nothing is timed here; `bench/timing.ts` does that, with thousands of samples.
 */
import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { after, before, describe, it } from 'node:test';
import type { TenantDatabase, TenantDatabases } from '#src/databases/types.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { createDoors, type Doors } from './doors.fixture.ts';
import { startTwoTenants, type TwoTenants } from './two-tenants.fixture.ts';

describe('what is known and what is not', { timeout: 300_000 }, () => {
  let two: TwoTenants;
  let doors: Doors;
  let work: string[] = [];
  const hashes = createHook({
    init: (_id, type) => {
      if (type === 'ARGON2REQUEST') work.push('argon2');
    },
  });

  before(async () => {
    two = await startTwoTenants();
    doors = await createDoors(
      two,
      recording(two.databases, (what) => work.push(what)),
    );
    hashes.enable();
  });
  after(async () => {
    hashes.disable();
    await doors?.reset();
    await two?.stop();
  });

  it('take the same statements and the same hashes, and get the same answer', async () => {
    const total: Record<string, number> = {};
    for (const { name, act } of doors.doors) {
      const seen: Record<string, { told: string; work: string[] }> = {};
      for (const kind of ['known', 'unknown'] as const) {
        await doors.reset();
        work = [];
        const told = await act(kind, 7);
        // What goes on behind the answer is slow or quick for everybody as well.
        await doors.reset();
        seen[kind] = { told, work };
      }
      assert.deepEqual(seen.known, seen.unknown, name);
      assert.ok(seen.known!.work.length > 0, `${name}: nothing was counted`);
      total[name] = seen.known!.work.filter((what) => what === 'argon2').length;
    }
    assert.deepEqual([total['sign-in'], total['sign-in, disabled user'], total['reset request']], [1, 1, 0]);
  });
});

/** The same databases; every transaction and statement is told, without its values. */
function recording(databases: TenantDatabases, tell: (what: string) => void): TenantDatabases {
  const door = (of: TenantDatabase, role: string): TenantDatabase => ({
    read: (tenantId, fn, options) => {
      tell(`${role} read`);
      return of.read(tenantId, (db) => fn(queries(db)), options);
    },
    transact: (tenantId, fn, options) => {
      tell(`${role} transaction`);
      return of.transact(tenantId, (db) => fn(queries(db)), options);
    },
  });
  const queries = <T extends Queryable>(db: T): T =>
    new Proxy(db, {
      get: (target, property) => {
        if (property !== 'query') return Reflect.get(target, property);
        return (text: string, values?: unknown[]) => {
          tell(text);
          return target.query(text, values);
        };
      },
    });
  return { ...databases, app: door(databases.app, 'app'), platform: door(databases.platform, 'platform') };
}
