import type { Command } from 'commander';
import type { FastifyInstance } from 'fastify';
import { type CliContext, type CommonOptions, print, printJson } from '#src/cli/index.ts';
import type { Staff } from '#src/staff/index.ts';
import type { Config } from './config.ts';
import { setupUrlOf } from './setup-url.ts';

interface StaffLink {
  readonly url: string;
  readonly expiresAt: string;
}

/** Only on the command socket: whoever may open it is the operator, and may let people in. */
export function staffLinkRoutes({ staff, config }: { staff: Staff; config: Config }) {
  return async (app: FastifyInstance): Promise<void> => {
    app.post<{ Body: { email: string } }>(
      '/api/staff-links',
      {
        config: { operation: 'staff.link.create' },
        schema: {
          body: {
            type: 'object',
            additionalProperties: false,
            required: ['email'],
            properties: { email: { type: 'string', maxLength: 254 } },
          },
        },
      },
      async (request, reply) => {
        const { token, expiresAt } = await staff.createSetupLink({ email: request.body.email, actor: 'os:operator' });
        return reply
          .code(201)
          .send({ url: setupUrlOf(config, token), expiresAt: expiresAt.toISOString() } satisfies StaffLink);
      },
    );
  };
}

/** `staff link EMAIL`: lets a new staff member in, or one who forgot the password. */
export function addStaffCommands(program: Command, context: CliContext): void {
  program
    .command('staff')
    .description("the operator's people")
    .command('link <email>')
    .description(
      'a one-time link to the console, good for 24 hours: for a new staff member, or one who forgot the password',
    )
    .option('--data <dir>', 'data folder of the installation; default: the one that runs')
    .option('--json', 'machine-readable', false)
    .action(async (email: string, options: CommonOptions) => {
      const link = await context.connect(options.data).send<StaffLink>('POST', '/api/staff-links', { email });
      if (options.json) printJson(context, link);
      else print(context, `Hand this link to ${email}; it works once, until ${link.expiresAt}:`, '', `  ${link.url}`);
    });
}
