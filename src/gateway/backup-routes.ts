import { Readable } from 'node:stream';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { type Identity, identityErrors, type Shown, shownProperties } from '#src/identity/index.ts';
import { toFreeholdError } from '#src/kernel/index.ts';
import type { Downloader, TenantBackupsPort } from './types.ts';

export interface BackupRoutesOptions {
  /** undefined: this installation makes no backups. */
  readonly backups: TenantBackupsPort;
  readonly identity: Pick<Identity, 'confirmOwner' | 'requireOwner' | 'recordOwnAct'>;
}

interface DownloadBody {
  readonly confirmation: string;
  readonly recipient?: string;
}

const text = (maxLength: number) => ({ type: 'string', maxLength }) as const;
const object = (properties: object, required: readonly string[]) =>
  ({ type: 'object', properties, required, additionalProperties: false }) as const;
const passwordBodyBytes = 2_200_000;

/**
 * What an owner sees of the account's backups, and the download of the newest dump; register with prefix `/-/api`. Two steps, so that a session that was left open or
 * stolen is not enough: the password (and second factor) again gives a confirmation (one download, two minutes, this session), the confirmation gives the bytes. Every
 * refusal is in the security log; that is why roles are looked at here and not at the door.
 */
export function backupRoutes({ backups, identity }: BackupRoutesOptions): FastifyPluginAsync {
  return async (app) => {
    app.get(
      '/backups',
      { config: { operation: 'tenant.backups.get', roles: ['owner'] } },
      async ({ tenant }: FastifyRequest) => backups.overview(tenant.tenantId),
    );

    app.post<{ Body: Shown }>(
      '/backups/confirmations',
      {
        config: { operation: 'tenant.backups.confirm' },
        schema: { body: object(shownProperties, ['password']) },
        bodyLimit: passwordBodyBytes,
      },
      async (request, reply) => {
        const { tenant } = request;
        await identity.confirmOwner(tenant.tenantId, actorOf(request), request.body, events);
        return reply.code(201).send(await backups.confirm(downloaderOf(request)));
      },
    );

    app.post<{ Body: DownloadBody }>(
      '/backups/download',
      {
        config: { operation: 'tenant.backups.download' },
        schema: { body: object({ confirmation: text(200), recipient: text(1_000) }, ['confirmation']) },
      },
      async (request, reply) => {
        const { tenantId } = request.tenant;
        const actor = actorOf(request);
        await identity.requireOwner(tenantId, actor, events.refused);
        const refuse = async (error: unknown): Promise<never> => {
          const { code } = toFreeholdError(error);
          await identity.recordOwnAct(tenantId, actor, events.refused, { reason: code });
          throw error;
        };
        const { confirmation, recipient } = request.body;
        const asked = { confirmation, ...(recipient !== undefined && { recipient }) };
        const download = await backups.open(downloaderOf(request), asked, signalOf(request)).catch(refuse);
        const content = Readable.from(download.content);
        try {
          await identity.recordOwnAct(tenantId, actor, 'backup.downloaded', {
            dumpId: download.dumpId,
            form: recipient === undefined ? 'plain' : 'age',
          });
        } catch (error) {
          content.destroy();
          throw error;
        }
        return sendDump(reply, request, download, content);
      },
    );
  };
}

const events = { confirmed: 'backup.download_confirmed', refused: 'backup.download_refused' } as const;

function sendDump(
  reply: FastifyReply,
  { tenant, body }: FastifyRequest<{ Body: DownloadBody }>,
  { madeAt, sizeBytes }: { readonly madeAt: string; readonly sizeBytes?: number },
  content: Readable,
): FastifyReply {
  const name = `${tenant.name}-${madeAt.slice(0, 10)}.dump${body.recipient === undefined ? '' : '.age'}`;
  reply.header('content-disposition', `attachment; filename="${name}"`).type('application/octet-stream');
  if (sizeBytes !== undefined) reply.header('content-length', sizeBytes);
  return reply.header('cache-control', 'no-store').send(content);
}

function actorOf(request: FastifyRequest) {
  const { session, ip, headers } = request;
  if (!session) throw identityErrors.FH_SESSION_REQUIRED();
  return { session, address: ip, userAgent: headers['user-agent'] };
}

function downloaderOf(request: FastifyRequest): Downloader {
  const { user, sessionId } = actorOf(request).session;
  return { tenantId: request.tenant.tenantId, userId: user.userId, sessionId };
}

/** Aborted when the client is gone. */
function signalOf({ raw }: FastifyRequest): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => gone.abort());
  return gone.signal;
}
