import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TenantDatabases } from '#src/databases/types.ts';
import type { Hosting } from '#src/hosting/index.ts';
import { createDemoUser } from '#src/identity/index.ts';
import type { Role } from '#src/identity/types.ts';
import { randomName, type TenantId, type UserId } from '#src/kernel/index.ts';
import type { Tenant } from '#src/tenants/index.ts';
import type { Folders } from './folders.ts';

/** Fictitious people. Both tenants have a user with the same e-mail address: two accounts, two passwords, nothing shared. */
const people: readonly (readonly { name: string; email: string; role: Role }[])[] = [
  [
    { name: 'Mara Lindqvist', email: 'mara@demo.example', role: 'owner' },
    { name: 'Tomas Okafor', email: 'tomas@demo.example', role: 'admin' },
    { name: 'Ines Varga', email: 'ines@demo.example', role: 'member' },
    { name: 'Joon Park', email: 'joon@demo.example', role: 'member' },
  ],
  [
    { name: 'Mara Lindqvist', email: 'mara@demo.example', role: 'owner' },
    { name: 'Pavel Duarte', email: 'pavel@demo.example', role: 'admin' },
    { name: 'Aiko Brandt', email: 'aiko@demo.example', role: 'member' },
  ],
];

export interface StoredDemoAccount {
  readonly tenant: string;
  readonly email: string;
  readonly password: string;
}

export interface DemoDeps {
  readonly folders: Folders;
  readonly databases: TenantDatabases;
  readonly hosting: Hosting;
  readonly getTenant: (tenantId: TenantId) => Promise<Tenant>;
  readonly hostOf: (name: string) => string;
}

/** The users and the data of a demo tenant. Safe to repeat: a lifecycle step may be run again after a crash. */
export async function seedDemoTenant(deps: DemoDeps, tenantId: TenantId, variant: number): Promise<void> {
  const { databases, folders, hosting } = deps;
  const tenant = await deps.getTenant(tenantId);
  const group = people[variant % people.length]!;
  // Kept before the users are made, so that a password that is in the database is always known.
  const kept = readDemoAccounts(folders);
  const account = kept.find((entry) => entry.tenant === tenant.name) ?? {
    tenant: tenant.name,
    email: group[0]!.email,
    password: newPassword(),
  };
  writeDemoAccounts(folders, [...kept.filter((entry) => entry.tenant !== tenant.name), account]);

  const firstUserId = await databases.platform.transact(tenantId, async (db) => {
    const [existing] = await db.query<{ user_id: UserId }>(
      'SELECT user_id FROM freehold.users ORDER BY created_at, user_id LIMIT 1',
    );
    if (existing) return undefined;
    let first: UserId | undefined;
    for (const person of group) {
      const userId = await createDemoUser(db, {
        ...person,
        password: person === group[0] ? account.password : newPassword(),
      });
      first ??= userId;
    }
    // The invitation of the first administrator: its address has a user now.
    await db.query('DELETE FROM freehold.invitations');
    return first;
  });
  // The users were there already: the data came right after them, or the tenant is undone as a whole.
  if (!firstUserId) return;
  const { name, email, role } = group[0]!;
  await hosting.seedDemo(
    {
      tenantId,
      name: tenant.name,
      title: tenant.title,
      state: tenant.state,
      app: tenant.app,
      host: deps.hostOf(tenant.name),
    },
    variant,
    { userId: firstUserId, name, email, role },
  );
}

export function readDemoAccounts(folders: Folders): StoredDemoAccount[] {
  try {
    return JSON.parse(readFileSync(join(folders.control, 'demo.json'), 'utf8')) as StoredDemoAccount[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function writeDemoAccounts(folders: Folders, accounts: readonly StoredDemoAccount[]): void {
  const path = join(folders.control, 'demo.json');
  writeFileSync(`${path}.new`, `${JSON.stringify(accounts)}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

/** 100 random bits, in groups that a person can type. */
function newPassword(): string {
  return randomName(20).replace(/(.{5})(?=.)/g, '$1-');
}
