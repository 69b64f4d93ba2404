import { type Command, Option } from 'commander';
import { type Tenant, tenantStates } from '#src/tenants/types.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { formatAge, formatBytes } from './format.ts';
import { formatFacts, formatTable } from './table.ts';
import { describeResidency } from './tenant-residency.ts';

type TenantView = Omit<Tenant, 'lastUsedAt' | 'createdAt' | 'stateChangedAt'> & {
  readonly url: string;
  readonly createdAt: string;
  readonly stateChangedAt: string;
  readonly lastUsedAt?: string;
};

interface ListOptions extends CommonOptions {
  readonly search?: string;
  readonly state?: string;
  readonly sort?: string;
  readonly limit?: string;
  readonly offset?: string;
}

export function addTenantList(tenant: Command, context: CliContext): void {
  tenant
    .command('list')
    .description('show tenants with state, size and last use')
    .option('--search <text>', 'part of a name or title')
    .addOption(new Option('--state <state>', 'only tenants in this state').choices(tenantStates))
    .addOption(
      new Option('--sort <column>', 'order').choices(['name', 'createdAt', 'lastUsedAt', 'sizeBytes', 'state']),
    )
    .option('--limit <number>', 'how many at most', '200')
    .option('--offset <number>', 'how many to pass over')
    .option('--json', 'JSON: {"tenants":[…],"total"}')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (options: ListOptions) => {
      const { search, state, sort, limit, offset } = options;
      const given = Object.entries({ search, state, sort, limit, offset }).filter((entry) => entry[1] !== undefined);
      const query = new URLSearchParams(given as [string, string][]);
      const page = await context
        .connect(options.data)
        .get<{ tenants: TenantView[]; total: number }>(`/api/tenants?${query}`);
      if (options.json) return printJson(context, page);
      if (page.total === 0) {
        print(context, search || state ? 'No tenant matches.' : 'There are no tenants yet.');
        if (!search && !state) print(context, 'Make one with: ./freehold tenant create NAME --admin-email ADDRESS');
        return;
      }
      const now = context.now();
      print(
        context,
        formatTable(
          [
            { title: 'name', value: (row) => row.name },
            { title: 'title', value: (row) => (row.title === row.name ? '' : row.title) },
            { title: 'state', value: (row) => row.state },
            { title: 'app', value: (row) => appOf(row) },
            { title: 'size', value: (row) => formatBytes(row.sizeBytes), align: 'right' },
            { title: 'last use', value: (row) => formatAge(row.lastUsedAt, now) },
            { title: 'address', value: (row) => row.url },
          ],
          page.tenants,
        ),
      );
      if (page.total > page.tenants.length) {
        print(context, '', `${page.tenants.length} of ${page.total}. See more with --offset, or fewer with --search.`);
      }
    });
}

/** With the version that it runs, of an app that is a process. */
function appOf({ app, appVersion }: TenantView): string {
  return appVersion === undefined ? app : `${app} ${appVersion}`;
}

export function addTenantShow(tenant: Command, context: CliContext): void {
  tenant
    .command('show')
    .description('show one tenant')
    .argument('<name>', 'name or tenant id')
    .option('--json', 'the tenant as JSON')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (name: string, options: CommonOptions) => {
      const client = context.connect(options.data);
      const found = await client.get<TenantView>(`/api/tenants/${encodeURIComponent(name)}`);
      if (options.json) return printJson(context, found);
      const now = context.now();
      print(
        context,
        formatFacts([
          ['name', found.name],
          ['title', found.title],
          ['address', found.url],
          ['state', `${found.state}, since ${formatAge(found.stateChangedAt, now)}`],
          ['app', appOf(found)],
          ['edition', found.edition],
          ['administrator', found.adminEmail],
          ['recovery point', found.recoveryPoint === 'zero' ? 'zero: commits wait for every region' : 'one second'],
          ['data may be in', describeResidency(found.residency)],
          ['size', formatBytes(found.sizeBytes)],
          ['last use', formatAge(found.lastUsedAt, now)],
          ['created', found.createdAt],
          ['database', found.databaseName],
          ['tenant id', found.tenantId],
          ['operation', found.operationId],
        ]),
      );
      if (found.operationId) print(context, '', `See the operation: ./freehold operation show ${found.operationId}`);
    });
}
