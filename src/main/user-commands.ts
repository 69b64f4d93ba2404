import type { Command } from 'commander';
import { type CliContext, type CommonOptions, print, printJson } from '#src/cli/index.ts';
import type { AccessLink } from './user-links.ts';

/** `user reset-access TENANT EMAIL`: for who lost password and second factors, and has nobody in the tenant to help, as an only owner. */
export function addUserCommands(program: Command, context: CliContext): void {
  program
    .command('user')
    .description('users of a tenant')
    .command('reset-access <tenant> <email>')
    .description(
      'a one-time link, good for an hour, for a user who lost password and second factors: whoever uses it chooses a password, and every second factor of theirs is removed',
    )
    .option('--data <dir>', 'data folder of the installation; default: the one that runs')
    .option('--json', 'machine-readable', false)
    .action(async (tenant: string, email: string, options: CommonOptions) => {
      const path = `/api/tenants/${encodeURIComponent(tenant)}/access-links`;
      const link = await context.connect(options.data).send<AccessLink>('POST', path, { email });
      if (options.json) return printJson(context, link);
      print(
        context,
        `Hand this link to ${link.email}, once you are sure who asks; it works once, until ${link.expiresAt}:`,
        '',
        `  ${link.url}`,
      );
    });
}
