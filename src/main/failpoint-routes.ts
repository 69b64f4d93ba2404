import type { FastifyInstance } from 'fastify';
import { armFailpoints, hangingFailpoints, kernelErrors, passedFailpoints } from '#src/kernel/index.ts';

/**
 * For tests only: arms failpoints of a running control, on its command socket, and tells what was passed since. Registered only when the
 * process was started with FREEHOLD_FAILPOINTS, which `doctor` reports; a production process has no such route.
 */
export async function failpointRoutes(app: FastifyInstance): Promise<void> {
  const describe = () => ({ passed: [...passedFailpoints], hanging: [...hangingFailpoints] });

  app.get('/api/failpoints', { config: { operation: 'failpoint.list' } }, async () => describe());

  app.post<{ Body: { arm: string } }>(
    '/api/failpoints',
    {
      config: { operation: 'failpoint.arm' },
      schema: {
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['arm'],
          properties: { arm: { type: 'string', maxLength: 4_000 } },
        },
      },
    },
    async (request) => {
      try {
        armFailpoints(request.body.arm);
      } catch (error) {
        throw kernelErrors.FH_INVALID_REQUEST({ detail: (error as Error).message, cause: error });
      }
      passedFailpoints.clear();
      return describe();
    },
  );
}
