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
    app.post<{ Body: { email: string; resetsFactor?: boolean } }>(
      '/api/staff-links',
      {
        config: { operation: 'staff.link.create' },
        schema: {
          body: {
            type: 'object',
            additionalProperties: false,
            required: ['email'],
            properties: { email: { type: 'string', maxLength: 254 }, resetsFactor: { type: 'boolean' } },
          },
        },
      },
      async (request, reply) => {
        const { token, expiresAt } = await staff.createSetupLink({ ...request.body, actor: 'os:operator' });
        return reply
          .code(201)
          .send({ url: setupUrlOf(config, token), expiresAt: expiresAt.toISOString() } satisfies StaffLink);
      },
    );
  };
}

/**
 * `staff link EMAIL`: lets a new staff member in, or one who forgot the password. `staff reset-second-factor EMAIL`: the same for one who has lost the
 * app and the recovery codes, too. The link takes the place of both: whoever only knows the password gets no further meanwhile.
 */
export function addStaffCommands(program: Command, context: CliContext): void {
  const staff = program.command('staff').description("the operator's people");
  const addLink = (name: string, description: string, resetsFactor: boolean) =>
    staff
      .command(`${name} <email>`)
      .description(description)
      .option('--data <dir>', 'data folder of the installation; default: the one that runs')
      .option('--json', 'machine-readable', false)
      .action(async (email: string, options: CommonOptions) => {
        const order = { email, resetsFactor };
        const link = await context.connect(options.data).send<StaffLink>('POST', '/api/staff-links', order);
        if (options.json) printJson(context, link);
        else print(context, `Hand this link to ${email}; it works once, until ${link.expiresAt}:`, '', `  ${link.url}`);
      });
  addLink(
    'link',
    'a one-time link to the console, good for 24 hours: for a new staff member, or one who forgot the password',
    false,
  );
  addLink(
    'reset-second-factor',
    'a one-time link to the console, good for 24 hours: for a staff member who lost the app and the recovery codes; whoever uses it chooses a new password and sets up a new app',
    true,
  );
}
