import { type Command, Option } from 'commander';
import type { Operation } from '#src/tenants/index.ts';
import { type CliContext, type CommonOptions, print, printJson } from './context.ts';
import { followOperation } from './follow.ts';
import { formatAge } from './format.ts';
import { formatFacts, formatTable } from './table.ts';

type OperationView = Omit<Operation, 'startedAt' | 'finishedAt'> & { startedAt: string; finishedAt?: string };

/** Operations: what runs, what failed, and going on with it. */
export function addOperationCommands(program: Command, context: CliContext): void {
  const operation = program.command('operation').description('operations on tenants: what runs, what failed');

  operation
    .command('list')
    .description('show operations, the newest first')
    .addOption(new Option('--state <state>', 'only these').choices(['running', 'succeeded', 'failed', 'undone']))
    .option('--limit <number>', 'how many at most', '20')
    .option('--json', 'JSON: {"operations":[…]}')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (options: CommonOptions & { state?: string; limit: string }) => {
      const query = new URLSearchParams({ limit: options.limit, ...(options.state ? { state: options.state } : {}) });
      const found = await context
        .connect(options.data)
        .get<{ operations: OperationView[] }>(`/api/operations?${query}`);
      if (options.json) return printJson(context, found);
      if (found.operations.length === 0) return print(context, 'There are no such operations.');
      const now = context.now();
      print(
        context,
        formatTable(
          [
            { title: 'operation', value: (row) => row.operationId },
            { title: 'kind', value: (row) => row.kind },
            { title: 'tenant', value: (row) => row.tenantName },
            { title: 'state', value: (row) => row.state },
            { title: 'begun', value: (row) => formatAge(row.startedAt, now) },
            { title: 'by', value: (row) => row.requestedBy },
          ],
          found.operations,
        ),
      );
    });

  operation
    .command('show')
    .description('show one operation and its steps')
    .argument('<id>', 'operation id')
    .option('--json', 'the operation as JSON')
    .option('--data <folder>', 'data folder of the installation')
    .action(async (id: string, options: CommonOptions) => {
      const found = await context.connect(options.data).get<OperationView>(`/api/operations/${encodeURIComponent(id)}`);
      if (options.json) return printJson(context, found);
      print(
        context,
        formatFacts([
          ['operation', `${found.kind} ${found.tenantName}`],
          ['state', found.state],
          ['begun', found.startedAt],
          ['ended', found.finishedAt],
          ['by', found.requestedBy],
          ['problem', found.error && `${found.error.text} (${found.error.code})`],
        ]),
        '',
        formatTable(
          [
            { title: 'step', value: (row) => row.name },
            { title: 'state', value: (row) => row.state },
          ],
          found.steps,
        ),
      );
      if (found.state === 'failed') print(context, '', `Try it again with: ./freehold operation retry ${id}`);
    });

  for (const [verb, description] of [
    ['retry', 'try a failed operation again from the step that failed'],
    ['cancel', 'take back what a failed operation did'],
  ] as const) {
    operation
      .command(verb)
      .description(description)
      .argument('<id>', 'operation id')
      .option('--json', 'the operation as JSON')
      .option('--data <folder>', 'data folder of the installation')
      .action(async (id: string, options: CommonOptions) => {
        const client = context.connect(options.data);
        const path = `/api/operations/${encodeURIComponent(id)}`;
        const { operation: started } = await client.send<{ operation: Operation }>('POST', `${path}/${verb}`, {});
        if (verb === 'retry') await followOperation(context, client, started, `${started.kind} ${started.tenantName}`);
        else for await (const _state of client.watch(started.operationId));
        const ended = await client.get<Operation>(path);
        if (options.json) printJson(context, ended);
        else print(context, `${ended.kind} ${ended.tenantName}: ${ended.state}.`);
      });
  }
}
