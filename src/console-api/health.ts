import type { FastifyInstance } from 'fastify';

/** How the installation is, for the console, `status` and `doctor`. Sizes in bytes, times in ISO 8601. */
export interface Health {
  readonly version: string;
  readonly startedAt: string;
  readonly domain: string;
  readonly gateway: string;
  readonly clusters: readonly ClusterHealth[];
  readonly gateways: { readonly connected: number; readonly expected: number };
  readonly tenants: Readonly<Record<string, number>>;
  readonly preparedDatabases: { readonly ready: number; readonly target: number };
  readonly operations: { readonly running: number; readonly failed: number };
  readonly disk: { readonly path: string; readonly freeBytes: number; readonly totalBytes: number };
  /** What a person should look at, worst first; empty when all is well. */
  readonly warnings: readonly HealthWarning[];
}

export interface ClusterHealth {
  readonly name: string;
  readonly kind: 'embedded' | 'external';
  readonly state: 'up' | 'down';
  /** For example `15.13`. */
  readonly version?: string;
  readonly startedAt?: string;
  readonly connections?: { readonly used: number; readonly max: number };
  readonly databases?: number;
  readonly dataChecksums?: boolean;
}

export interface HealthWarning {
  readonly severity: 'risk' | 'problem';
  readonly text: string;
  /** What to do or type. */
  readonly hint: string;
}

export interface HealthDeps {
  readonly health: () => Promise<Health>;
  /** Prometheus text. */
  readonly metrics: () => Promise<string>;
}

export function healthRoutes({ health, metrics }: HealthDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/api/health', { config: { operation: 'health.get' } }, () => health());
    app.get('/metrics', { config: { operation: 'metrics.get' } }, async (_request, reply) => {
      reply.type('text/plain; version=0.0.4; charset=utf-8');
      return metrics();
    });
  };
}
