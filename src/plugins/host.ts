import { PassThrough, type Readable } from 'node:stream';
import { type Clock, redactText, type TenantId } from '#src/kernel/index.ts';
import { createBroker } from './broker.ts';
import { createCalls, type PluginPorts } from './calls.ts';
import { pluginErrors } from './errors.ts';
import type { PluginEnd, PluginOrder } from './types.ts';

/** A log of a tenant's plugins. */
export interface PluginLog {
  write(chunk: Uint8Array): void;
  pauseMs(): number;
  flush(): Promise<void>;
}

export interface PluginHostDeps {
  /** Runs the command in a plugin's sandbox to its end, and leaves nothing of it. */
  readonly sandbox: (
    order: PluginOrder,
    command: readonly string[],
    streams: {
      readonly input: Readable;
      readonly onOutput: (chunk: Buffer) => void;
      readonly onFull: () => Promise<void>;
      readonly signal: AbortSignal;
    },
  ) => Promise<{ readonly code: number | null; readonly signal: string | null; readonly failure?: string }>;
  readonly portsOf: (order: PluginOrder, signal: AbortSignal) => PluginPorts;
  readonly logOf: (tenantId: TenantId) => PluginLog;
  readonly clock: Clock;
}

export interface PluginHost {
  run(order: PluginOrder): Promise<PluginEnd>;
  /** Of a run that is not there it does nothing. */
  end(runId: string, reason: string): void;
  endAll(reason: string): void;
  stop(): Promise<void>;
}

/** The keeper's side of plugins: runs each order once, under the fences of apps (0038) and Node.js's permission model inside of them. */
export function createPluginHost({ sandbox, portsOf, logOf, clock }: PluginHostDeps): PluginHost {
  const stopping = new AbortController();
  /** By place: a control that started anew may not know what goes on still. */
  const running = new Map<number, Promise<PluginEnd>>();
  /** By run id. */
  const ends = new Map<string, AbortController>();

  async function run(order: PluginOrder): Promise<PluginEnd> {
    const startedMs = clock.monotonicMs();
    const log = logOf(order.tenantId);
    const note = (text: string) => log.write(Buffer.from(`${order.name}: ${text}\n`));
    const own = new AbortController();
    ends.set(order.runId, own);
    const timer = setTimeout(
      () => own.abort(new Error(`it took longer than ${order.timeoutMs / 1000} s and was ended`)),
      order.timeoutMs,
    );
    const signal = AbortSignal.any([own.signal, stopping.signal]);
    const input = new PassThrough();
    const broker = createBroker({
      input,
      calls: createCalls(order, portsOf(order, signal)),
      log: note,
      async logReady() {
        const pauseMs = log.pauseMs();
        if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      },
      abort: (reason) => own.abort(new Error(reason)),
      signal,
    });
    input.write(`${JSON.stringify({ input: order.input, tenant: order.tenant })}\n`);
    let reason: string | undefined;
    try {
      const ended = await sandbox(order, commandOf(order), {
        input,
        onOutput: (chunk) => broker.write(chunk),
        onFull: () => broker.ready(),
        signal,
      });
      reason = reasonOf(ended, broker.end, order);
    } catch (error) {
      // Whatever else says nothing of the plugin, and does not count against it.
      if (stopping.signal.aborted) throw pluginErrors.FH_PLUGIN_BUSY({ detail: 'Freehold is stopping' });
      if (!own.signal.aborted) throw error;
      reason = (own.signal.reason as Error).message;
    } finally {
      clearTimeout(timer);
      ends.delete(order.runId);
      // Whatever is still under way is for nobody.
      own.abort(new Error('the run is over'));
      input.destroy();
    }
    const durationMs = Math.round(clock.monotonicMs() - startedMs);
    note(
      `freehold: ${order.input.trigger}: ${reason === undefined ? 'succeeded' : `failed: ${reason}`} (${durationMs} ms)`,
    );
    await log.flush();
    return {
      outcome: reason === undefined ? 'succeeded' : 'failed',
      reason: reason && oneLine(reason),
      durationMs,
      result: reason === undefined ? broker.end?.result : undefined,
    };
  }

  return {
    async run(order) {
      if (running.has(order.place)) throw pluginErrors.FH_PLUGIN_BUSY({ detail: 'it runs already' });
      const promise = run(order).finally(() => running.delete(order.place));
      running.set(order.place, promise);
      return promise;
    },
    end: (runId, reason) => ends.get(runId)?.abort(new Error(reason)),
    endAll(reason) {
      for (const own of ends.values()) own.abort(new Error(reason));
    },
    async stop() {
      stopping.abort(new Error('Freehold is stopping'));
      await Promise.allSettled(running.values());
    },
  };
}

/** Of the permission model nothing is allowed but reading the plugin's own code: no files, network, processes, threads, add-ons or inspector. */
export function commandOf({ entry, memoryBytes }: Pick<PluginOrder, 'entry' | 'memoryBytes'>): readonly string[] {
  return [
    '/freehold/bin/node',
    '--permission',
    '--allow-fs-read=/app',
    '--allow-fs-read=/freehold/runner.mts',
    `--max-old-space-size=${Math.floor((memoryBytes / 2 ** 20) * 0.75)}`,
    '--no-warnings',
    '/freehold/runner.mts',
    entry,
  ];
}

/** It is shown to staff and recorded: no line of ours ends in the midst of it, no terminal obeys it, and nothing that looks like a secret stays. */
function oneLine(text: string): string {
  const line = redactText(text.split('\n', 1).join());
  return line.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd').slice(0, 500);
}

function reasonOf(
  {
    code,
    signal,
    failure,
  }: { readonly code: number | null; readonly signal: string | null; readonly failure?: string },
  end: { readonly failed?: string } | undefined,
  { memoryBytes }: PluginOrder,
): string | undefined {
  if (end?.failed !== undefined) return end.failed;
  if (end && code === 0) return undefined;
  const how = failure ?? `it ended with ${signal ?? `exit code ${code}`}`;
  return `${how} before its handler was done; its limit is ${memoryBytes / 2 ** 20} MiB of memory`;
}
