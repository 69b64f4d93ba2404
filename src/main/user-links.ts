import type { Command } from 'commander';
import type { FastifyInstance } from 'fastify';
import { type CliContext, type CommonOptions, print, printJson } from '#src/cli/index.ts';
import { createAccessReset, resetPath } from '#src/identity/index.ts';
import { tenantErrors } from '#src/tenants/index.ts';
import type { ControlServices } from './control-services.ts';

interface AccessLink {
  readonly email: string;
  readonly url: string;
  readonly expiresAt: string;
}

/** Only on the command socket: whoever may open it is the operator. */
export function userLinkRoutes({
  lifecycle,
  databases,
  tenantUrl,
}: Pick<ControlServices, 'lifecycle' | 'databases' | 'tenantUrl'>) {
  return async (app: FastifyInstance): Promise<void> => {
    app.post<{ Params: { tenantId: string }; Body: { email: string } }>(
      '/api/tenants/:tenantId/access-links',
      {
        config: { operation: 'user.access_link.create' },
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
        const { tenantId, name, state } = await lifecycle.getTenant(request.params.tenantId);
        if (state !== 'active')
          throw tenantErrors.FH_TENANT_STATE({
            detail: `it is ${state}, and its users can be let in only while it is active`,
            ...(state === 'suspended' && { hint: `First: ./freehold tenant resume ${name}` }),
          });
        const { token, email, expiresAt } = await databases.platform.transact(tenantId, (db) =>
          createAccessReset(db, request.body.email, 'os:operator'),
        );
        const url = tenantUrl(name) + resetPath(token);
        return reply.code(201).send({ email, url, expiresAt: expiresAt.toISOString() } satisfies AccessLink);
      },
    );
  };
}

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
