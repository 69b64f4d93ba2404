import type { Command } from 'commander';
import type { AuditPage, RecordedEvent } from '#src/audit/index.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { formatTable } from './table.ts';

/** What happened: security events. */
export function addRecordCommands(program: Command, context: CliContext): void {
  program
    .command('audit')
    .description('show security events, the newest first')
    .option('--tenant <name>', 'only events of this tenant')
    .option('--event <name>', 'only this kind of event, for example tenant.created')
    .option('--limit <number>', 'how many at most', '50')
    .option('--before <position>', 'older ones: the value that came with the page before')
    .option('--json', 'JSON: {"events":[…],"nextBefore"}')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (options: CommonOptions & { tenant?: string; event?: string; limit: string; before?: string }) => {
      const client = context.connect(options.data);
      const tenantId = options.tenant
        ? (await client.get<{ tenantId: string }>(`/api/tenants/${encodeURIComponent(options.tenant)}`)).tenantId
        : undefined;
      const given = { tenantId, name: options.event, limit: options.limit, before: options.before };
      const query = new URLSearchParams(
        Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined),
      );
      const page = await client.get<Omit<AuditPage, 'events'> & { events: AuditLine[] }>(`/api/audit?${query}`);
      if (options.json) return printJson(context, page);
      if (page.events.length === 0) return print(context, 'There are no such events.');
      print(
        context,
        formatTable(
          [
            { title: 'time', value: (row) => row.recordedAt },
            { title: 'event', value: (row) => row.name },
            { title: 'by', value: (row) => row.actor },
            { title: 'tenant', value: (row) => String(row.details.name ?? row.details.to ?? row.tenantId ?? '') },
            { title: 'details', value: describe },
          ],
          page.events,
        ),
      );
      if (page.nextBefore) print(context, '', `Older: ./freehold audit --before ${page.nextBefore}`);
    });
}

type AuditLine = Omit<RecordedEvent, 'recordedAt'> & { readonly recordedAt: string };

function describe({ details }: AuditLine): string {
  return Object.entries(details)
    .filter(([key]) => key !== 'name')
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}
