import type { FastifyInstance, FastifyRequest } from 'fastify';
import { kernelErrors } from '#src/kernel/index.ts';
import { type AppRegistry, type AppVersion, maxArchiveBytes, releaseErrors } from '#src/releases/index.ts';
import { objectSchema, withoutZero } from './api.ts';

/** A version of an app as commands see it. */
export type AppVersionView = Omit<AppVersion, 'addedAt'> & {
  readonly addedAt: string;
  /** That run it, or could be restored with it. */
  readonly tenants: number;
};

export interface AppDeps {
  readonly apps: Pick<AppRegistry, 'add' | 'list' | 'get' | 'remove'>;
  readonly actorOf: (request: FastifyRequest) => string;
}

type Params = { Params: { app: string; version: string } };

const name = { type: 'string', minLength: 1, maxLength: 64, pattern: withoutZero } as const;

/** Versions of apps that run as processes. Only on the command socket: whoever adds one puts a program on this machine. */
export function appRoutes({ apps, actorOf }: AppDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/api/apps', { config: { operation: 'app.list' } }, async () => ({ versions: await apps.list() }));

    app.get<{ Params: { app: string } }>(
      '/api/apps/:app',
      { config: { operation: 'app.get' }, schema: { params: objectSchema({ app: name }, ['app']) } },
      async ({ params }) => {
        const versions = await apps.list(params.app);
        if (versions.length === 0) throw releaseErrors.FH_APP_NOT_FOUND({ detail: params.app });
        return { versions };
      },
    );

    const params = objectSchema({ app: name, version: name }, ['app', 'version']);
    app.get<Params>(
      '/api/apps/:app/versions/:version',
      { config: { operation: 'app.version.get' }, schema: { params } },
      async ({ params }) => ({ version: await apps.get(params.app, params.version) }),
    );

    app.delete<Params>(
      '/api/apps/:app/versions/:version',
      { config: { operation: 'app.version.remove' }, schema: { params } },
      async (request, reply) => {
        await apps.remove(request.params.app, request.params.version, actorOf(request));
        return reply.code(204).send();
      },
    );

    app.register(async (uploads) => {
      // The body stays a stream: a version may be larger than memory. Its limit is counted where it is kept.
      uploads.addContentTypeParser('application/x-tar', (_request, payload, done) => done(null, payload));
      uploads.post<{ Querystring: { notes?: string }; Body: AsyncIterable<Uint8Array> }>(
        '/api/apps',
        {
          config: { operation: 'app.version.add' },
          bodyLimit: 2 * maxArchiveBytes,
          schema: { querystring: objectSchema({ notes: { type: 'string', maxLength: 10_000, pattern: withoutZero } }) },
        },
        async (request, reply) => {
          if (request.headers['content-type'] !== 'application/x-tar')
            throw kernelErrors.FH_INVALID_REQUEST({ detail: 'Send the folder as application/x-tar.' });
          const options = { notes: request.query.notes ?? '', actor: actorOf(request) };
          reply.code(202);
          return { version: await apps.add(request.body, options) };
        },
      );
    });
  };
}
