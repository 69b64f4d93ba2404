import { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Numbers of all HTTP apps of one process, for Prometheus. Labels are operations, never URLs: their number is bounded. */
export interface HttpMetrics {
  readonly registry: Registry;
  started(app: string): void;
  ended(app: string, operation: string, status: number, durationMs: number): void;
  /** A number per kind, read when somebody asks. */
  gauge(name: `freehold_${string}`, help: string, read: () => Readonly<Record<string, number>>): void;
  text(): Promise<string>;
  /** For `mergeMetrics` in another process. */
  json(): Promise<readonly object[]>;
}

export function createHttpMetrics(registry: Registry = new Registry()): HttpMetrics {
  const requests = new Counter({
    name: 'freehold_http_requests_total',
    help: 'Requests by operation and class of status.',
    labelNames: ['app', 'operation', 'status'],
    registers: [registry],
  });
  const durations = new Histogram({
    name: 'freehold_http_request_duration_seconds',
    help: 'Time from the first byte of the request to the last of the answer.',
    labelNames: ['app', 'operation', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
    registers: [registry],
  });
  const running = new Map<string, number>();
  new Gauge({
    name: 'freehold_http_requests_in_flight',
    help: 'Requests being answered now, open event streams included.',
    labelNames: ['app'],
    registers: [registry],
    collect() {
      for (const [app, count] of running) this.set({ app }, count);
    },
  });
  return {
    registry,
    started: (app) => void running.set(app, (running.get(app) ?? 0) + 1),
    ended: (app, operation, status, durationMs) => {
      running.set(app, running.get(app)! - 1);
      const labels = { app, operation, status: `${Math.floor(status / 100)}xx` };
      requests.inc(labels);
      durations.observe(labels, durationMs / 1000);
    },
    gauge: (name, help, read) => {
      new Gauge({
        name,
        help,
        labelNames: ['kind'],
        registers: [registry],
        collect() {
          for (const [kind, value] of Object.entries(read())) this.set({ kind }, value);
        },
      });
    },
    text: () => registry.metrics(),
    json: () => registry.getMetricsAsJSON(),
  };
}

/** One Prometheus text of several processes' numbers: counters and histograms are added up. */
export function mergeMetrics(parts: readonly (readonly object[])[]): Promise<string> {
  return AggregatorRegistry.aggregate(parts as object[]).metrics();
}

/** A number with its labels, as a process without HTTP tells it. */
export interface MetricFigure {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** For `mergeMetrics`. */
export function figuresAsMetrics(figures: readonly MetricFigure[]): readonly object[] {
  const byName = Map.groupBy(figures, ({ name }) => name);
  return [...byName.values()].map((own) => ({
    name: own[0]!.name,
    help: own[0]!.help,
    type: own[0]!.type,
    aggregator: 'sum',
    values: own.map(({ labels, value }) => ({ labels, value })),
  }));
}
