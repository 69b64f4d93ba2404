import type { FastifyInstance, FastifyRequest } from 'fastify';
import { idSchema, objectSchema } from './api.ts';

/** A message to a user of a tenant. */
export interface MailView {
  readonly mailId: string;
  readonly tenantId: string;
  readonly tenantName: string;
  readonly kind: string;
  readonly state: string;
  /** Undefined: the tenant's key is destroyed. */
  readonly to: string | undefined;
  readonly subject: string | undefined;
  readonly createdAt: Date;
  readonly attempts: number;
  readonly nextAttemptAt: Date | undefined;
  readonly sentAt: Date | undefined;
  readonly problem: string | undefined;
  readonly maySend: boolean;
}

export interface MailDeps<State extends string> {
  readonly states: readonly State[];
  /** There is a mail server. */
  readonly isConfigured: boolean;
  readonly outbox: {
    list(query: {
      state?: State | undefined;
      before?: string | undefined;
      limit?: number | undefined;
    }): Promise<{ mail: MailView[]; nextBefore: string | undefined }>;
    read(mailId: string, actor: string): Promise<MailView & { text: string | undefined; isMasked: boolean }>;
    sendAgain(mailId: string, actor: string): Promise<MailView>;
  };
  readonly actorOf: (request: FastifyRequest) => string;
  /** Throws FH_STEP_UP_REQUIRED. */
  readonly requireStepUp: (request: FastifyRequest) => Promise<void>;
}

type Params = { Params: { mailId: string } };

/**
 * Only for staff who are signed in. Without a mail server a message shows its link, and whoever orders a new password for an owner and reads the
 * message becomes that owner: opening one asks the member who they are, and is recorded (mail.test.ts). The list holds no text.
 */
export function mailRoutes<State extends string>(deps: MailDeps<State>) {
  const { states, isConfigured, outbox, actorOf, requireStepUp } = deps;
  const params = objectSchema({ mailId: idSchema('mai') }, ['mailId']);
  return async (app: FastifyInstance): Promise<void> => {
    app.get<{ Querystring: { state?: State; before?: string; limit?: number } }>(
      '/api/mail',
      {
        config: { operation: 'mail.list' },
        schema: {
          querystring: objectSchema({
            state: { enum: [...states] },
            before: idSchema('mai'),
            limit: { type: 'integer', minimum: 1, maximum: 200 },
          }),
        },
      },
      async ({ query }) => {
        const { mail, nextBefore } = await outbox.list(query);
        return { mail, nextBefore: nextBefore ?? null, isConfigured };
      },
    );
    // A POST, because it leaves a mark: no page and no program opens it ahead of time.
    app.post<Params>(
      '/api/mail/:mailId/open',
      { config: { operation: 'mail.read' }, schema: { params } },
      async (request, reply) => {
        const actor = actorOf(request);
        await requireStepUp(request);
        reply.header('cache-control', 'no-store');
        return outbox.read(request.params.mailId, actor);
      },
    );
    app.post<Params>(
      '/api/mail/:mailId/send',
      { config: { operation: 'mail.send' }, schema: { params } },
      async (request, reply) => {
        reply.code(202);
        return outbox.sendAgain(request.params.mailId, actorOf(request));
      },
    );
  };
}
