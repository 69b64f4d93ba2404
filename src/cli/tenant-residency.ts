import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Residency } from '#src/tenants/types.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';

export interface ResidencyOptions {
  readonly allow?: string;
  readonly allowCopies?: string;
}

interface Options extends CommonOptions, ResidencyOptions {
  readonly anywhere?: boolean;
}

interface Kept {
  readonly tenantId: string;
  readonly name: string;
  readonly residency?: Residency;
}

/** `tenant residency`: shows where the data of a tenant may be, or says it anew. */
export function addTenantResidency(tenant: Command, context: CliContext): void {
  tenant
    .command('residency')
    .description('show where the data of a tenant may be, or say it: settings that would break it are refused then')
    .argument('<name>', 'name or tenant id')
    .option('--allow <places>', 'places of its data with commas between; eu holds eu-de as well')
    .option('--allow-copies <places>', 'places of its backups; default: as --allow')
    .addOption(new Option('--anywhere', 'wherever this installation is').conflicts(['allow', 'allowCopies']))
    .option('--json', 'one line of JSON: tenantId, name, residency (null: anywhere)')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (name: string, options: Options) => {
      const client = context.connect(options.data);
      const find = () => client.get<Kept>(`/api/tenants/${encodeURIComponent(name)}`);
      let found = await find();
      const wanted = residencyOf(options);
      if (wanted || options.anywhere) {
        await client.send('PUT', `/api/tenants/${found.tenantId}/residency`, { residency: wanted ?? null });
        found = await find();
      }
      if (options.json)
        return printJson(context, { tenantId: found.tenantId, name: found.name, residency: found.residency ?? null });
      print(context, `The data of ${found.name} may be: ${describeResidency(found.residency)}.`);
      if (found.residency) print(context, 'Settings that would carry it elsewhere are refused at the start.');
    });
}

/** @returns undefined: nothing is said */
export function residencyOf({ allow, allowCopies }: ResidencyOptions): Partial<Residency> | undefined {
  if (allow === undefined && allowCopies === undefined) return undefined;
  if (allow === undefined) throw new InvalidArgumentError('--allow-copies needs --allow as well.');
  return { home: split(allow), ...(allowCopies !== undefined && { copies: split(allowCopies) }) };
}

export function describeResidency(residency: Residency | undefined): string {
  if (!residency) return 'anywhere';
  const [home, copies] = [residency.home.join(', '), residency.copies.join(', ')];
  return home === copies ? `in ${home}` : `in ${home}, its backups in ${copies}`;
}

const split = (list: string): string[] => list.split(',').map((place) => place.trim().toLowerCase());
