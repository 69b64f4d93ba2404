import type { TenantId } from '#src/kernel/index.ts';
import { createSealer, type KeyStore } from '#src/keys/index.ts';
import { newPassword } from '#src/postgres/index.ts';
import type { ControlDatabase } from './ports.ts';
import { type SecretName, selectSecrets, upsertSecrets } from './sql.ts';

export interface RolePasswords {
  readonly appPassword: string;
  readonly platformPassword: string;
}

/** Passwords of tenants' database roles: sealed under each tenant's own key, open only in control's memory. */
export interface Credentials {
  find(tenantId: TenantId): Promise<RolePasswords | undefined>;
  /** Those it has, or new ones. */
  ensure(tenantId: TenantId): Promise<RolePasswords>;
  /** New ones in any case: whoever still knows the old ones is out as soon as the server has these. */
  rotate(tenantId: TenantId): Promise<RolePasswords>;
}

export function createCredentials({ db, keys }: { db: ControlDatabase; keys: KeyStore }): Credentials {
  const sealerOf = async (tenantId: TenantId) =>
    createSealer(await keys.deriveTenantKey(tenantId, 'database-credentials'));

  async function find(tenantId: TenantId): Promise<RolePasswords | undefined> {
    const secrets = await selectSecrets(db, tenantId);
    const app = secrets.get('database.app');
    const platform = secrets.get('database.platform');
    if (!app || !platform) return undefined;
    const sealer = await sealerOf(tenantId);
    return {
      appPassword: sealer.open(app, contextOf(tenantId, 'database.app')).toString(),
      platformPassword: sealer.open(platform, contextOf(tenantId, 'database.platform')).toString(),
    };
  }

  async function rotate(tenantId: TenantId): Promise<RolePasswords> {
    const passwords = { appPassword: newPassword(), platformPassword: newPassword() };
    const sealer = await sealerOf(tenantId);
    const seal = (name: SecretName, password: string) => sealer.seal(Buffer.from(password), contextOf(tenantId, name));
    await upsertSecrets(db, tenantId, {
      'database.app': seal('database.app', passwords.appPassword),
      'database.platform': seal('database.platform', passwords.platformPassword),
    });
    return passwords;
  }

  return { find, rotate, ensure: async (tenantId) => (await find(tenantId)) ?? rotate(tenantId) };
}

/** Binds a sealed password to its tenant and use: moved to another row, it does not open. */
function contextOf(tenantId: TenantId, name: SecretName): string {
  return `${tenantId} ${name}`;
}
