import type { FastifyInstance } from 'fastify';
import { type AuditEventName, recordAudit } from '#src/audit/index.ts';
import { kernelErrors, type OperationId } from '#src/kernel/index.ts';
import { parseTenantName } from '#src/tenants/index.ts';
import { type ConsoleApiDeps, type OperationParams, objectSchema, operationParams } from './api.ts';

const defaultMaxBytes = 1024 ** 4;

/** Archives go out and come in as bytes: whoever asks need not share a disk with control. */
export function archiveRoutes(deps: ConsoleApiDeps) {
  const { lifecycle, portability, actorOf, requireStepUp, confirmSignedIn, maxArchiveBytes = defaultMaxBytes } = deps;

  async function record(name: AuditEventName, operationId: OperationId, actor: string): Promise<void> {
    const { tenantId } = await lifecycle.getOperation(operationId);
    await recordAudit(deps.db, { name, actor, subject: operationId, tenantId });
  }

  return async (app: FastifyInstance): Promise<void> => {
    app.get<{ Params: OperationParams }>(
      '/api/exports/:operationId/download',
      { config: { operation: 'export.download' }, schema: { params: operationParams } },
      async (request, reply) => {
        const actor = actorOf(request);
        await requireStepUp(request);
        const { operationId } = request.params;
        const operation = await lifecycle.getOperation(operationId);
        const { content, sizeBytes } = await portability.openExport(operationId);
        // Before the first byte: whoever has a part of it has that part.
        await record('tenant.archive_downloaded', operationId, actor).catch((error) => {
          content.destroy();
          throw error;
        });
        const day = operation.startedAt.toISOString().slice(0, 10);
        reply.header('content-disposition', `attachment; filename="${operation.tenantName}-${day}.tar"`);
        reply.header('content-length', sizeBytes).header('cache-control', 'no-store').type('application/x-tar');
        return reply.send(content);
      },
    );

    app.delete<{ Params: OperationParams }>(
      '/api/exports/:operationId',
      { config: { operation: 'export.delete' }, schema: { params: operationParams } },
      async (request, reply) => {
        const actor = actorOf(request);
        await requireStepUp(request);
        const { operationId } = request.params;
        await portability.removeExport(operationId);
        await record('tenant.archive_removed', operationId, actor);
        return reply.code(204).send();
      },
    );

    app.register(async (uploads) => {
      // The body stays a stream: an archive may be larger than memory.
      uploads.addContentTypeParser('application/x-tar', (_request, payload, done) => done(null, payload));
      uploads.post<{ Querystring: { name: string; title?: string }; Body: AsyncIterable<Uint8Array> }>(
        '/api/tenants/import',
        {
          config: { operation: 'tenant.import' },
          bodyLimit: maxArchiveBytes,
          schema: {
            querystring: objectSchema(
              { name: { type: 'string', maxLength: 300 }, title: { type: 'string', maxLength: 1_000 } },
              ['name'],
            ),
          },
        },
        async (request, reply) => {
          if (request.headers['content-type'] !== 'application/x-tar') {
            throw kernelErrors.FH_INVALID_REQUEST({ detail: 'Send the archive as application/x-tar.' });
          }
          const actor = actorOf(request);
          // What can be refused without the archive is refused before it travels.
          const name = parseTenantName(request.query.name);
          await requireStepUp(request);
          const archivePath = await portability.receiveUpload(request.body, maxArchiveBytes);
          try {
            await confirmSignedIn(request);
            const manifest = await portability.inspectArchive(archivePath);
            const operation = await lifecycle.startOperation(
              'import',
              undefined,
              {
                name,
                archivePath,
                title: request.query.title ?? manifest.tenant.title,
                app: manifest.app.name,
                appVersion: manifest.app.version,
                createdFrom: manifest.createdFrom,
                ...(manifest.tenant.adminEmail ? { adminEmail: manifest.tenant.adminEmail } : {}),
              },
              actor,
            );
            reply.code(202);
            return { operation };
          } catch (error) {
            await portability.removeUpload(archivePath);
            throw error;
          }
        },
      );
    });
  };
}
