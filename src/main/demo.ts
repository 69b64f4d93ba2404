import { createCommandClient } from '#src/cli/index.ts';
import type { Started } from '#src/console-api/index.ts';
import { FreeholdError } from '#src/kernel/index.ts';
import { readDemoAccounts } from './demo-users.ts';
import type { Folders } from './folders.ts';
import type { DemoAccount } from './ready.ts';

const demoTenants = [
  { name: 'acme', title: 'Acme Freight', variant: 0 },
  { name: 'globex', title: 'Globex Instruments', variant: 1 },
] as const;

/** Makes the two demo tenants unless they are there, through the same door as everybody. @returns how to sign in */
export async function ensureDemo(
  folders: Folders,
  tenantUrl: (name: string) => string,
  say: (text: string) => void,
): Promise<DemoAccount[]> {
  const client = createCommandClient(folders.commandSocket);
  await Promise.all(
    demoTenants.map(async ({ name, title, variant }) => {
      if (await exists(name)) return;
      say(`making the demo tenant ${name}`);
      const { operation } = await client.send<Started>('POST', '/api/tenants', {
        name,
        title,
        adminEmail: 'mara@demo.example',
        demoVariant: variant,
      });
      for await (const state of client.watch(operation.operationId)) {
        if (state.state !== 'running' && state.state !== 'succeeded')
          say(`the demo tenant ${name} was not made: ${state.error?.text}`);
      }
    }),
  );
  // Whoever deleted a demo tenant does not want to read its password.
  const accounts = readDemoAccounts(folders);
  const present = await Promise.all(accounts.map((account) => exists(account.tenant)));
  return accounts
    .filter((_, index) => present[index])
    .map((account) => ({ ...account, url: tenantUrl(account.tenant) }));

  async function exists(name: string): Promise<boolean> {
    try {
      const { state } = await client.get<{ state: string }>(`/api/tenants/${name}`);
      return state !== 'deleted';
    } catch (error) {
      if (error instanceof FreeholdError && error.status === 404) return false;
      throw error;
    }
  }
}
