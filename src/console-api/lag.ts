import type { FastifyInstance } from 'fastify';
import { objectSchema } from './api.ts';

/** How far the copies of each cluster were behind, over time. Kept in control's memory for a day: it begins anew when control is started. */
export interface LagView {
  /** Beginning of the first figure. */
  readonly from: string;
  /** From one figure to the next. */
  readonly everyMs: number;
  readonly clusters: readonly { readonly name: string; readonly series: readonly LagSeries[] }[];
}

export interface LagSeries {
  readonly kind: 'standby' | 'region';
  /** Of the region; `standby`. */
  readonly name: string;
  /** Age of the oldest commit that the copy lacked, the worst of each stretch, oldest first; null: not known. */
  readonly lagMs: readonly (number | null)[];
  /** WAL that it lacked, likewise. */
  readonly behindBytes: readonly (number | null)[];
}

export interface LagDeps {
  readonly lag: (spanMs: number) => LagView;
}

const minuteMs = 60_000;

/** `GET /api/lag?minutes=60`: at most about 240 figures per series, whatever the span. */
export function lagRoutes({ lag }: LagDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get<{ Querystring: { minutes: number } }>(
      '/api/lag',
      {
        config: { operation: 'lag.get', isQuiet: true },
        schema: { querystring: objectSchema({ minutes: { type: 'integer', minimum: 5, maximum: 1440, default: 60 } }) },
      },
      ({ query }) => lag(query.minutes * minuteMs),
    );
  };
}
