import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { FreeholdError, toFreeholdError } from '#src/kernel/index.ts';
import { pluginErrors } from './errors.ts';
import { createPlaces } from './places.ts';

/**
 * What a plugin says, as lines of JSON, and what it is answered. The sandbox is hostile: a line may be anything, of any length, at any rate. So lines are bounded,
 * so are calls, few of them are under way at once, and an answer that nobody reads stops the reading.
 */
export interface Broker {
  /** Standard output as it comes. */
  write(chunk: Buffer): void;
  /** Resolves when more may come. */
  ready(): Promise<void>;
  /** What it said of its end; undefined: nothing. */
  readonly end: { readonly result?: unknown; readonly failed?: string } | undefined;
  /** Resolves when nothing of it is under way. */
  settled(): Promise<void>;
}

export type PluginCalls = (method: string, params: Readonly<Record<string, unknown>>) => Promise<unknown>;

const longestLine = 2 * 2 ** 20;
const mostAtOnce = 8;
const mostCalls = 10_000;
const longestResult = 64 * 1024;
const longestReason = 2_000;

export function createBroker(of: {
  readonly input: Writable;
  readonly calls: PluginCalls;
  readonly log: (text: string) => void;
  /** Resolves when the log takes more. */
  readonly logReady: () => Promise<void>;
  /** Ends the run: it did what no honest plugin does. */
  readonly abort: (reason: string) => void;
  readonly signal: AbortSignal;
}): Broker {
  const decoder = new TextDecoder();
  const underWay = new Set<Promise<void>>();
  // One chunk may hold thousands of calls.
  const places = createPlaces({ total: mostAtOnce, perOwner: mostAtOnce });
  let rest = '';
  let calls = 0;
  let end: Broker['end'];

  function write(text: string): void {
    for (const line of text.split('\n')) of.log(line);
  }

  function take(line: string): void {
    const message = parse(line);
    if (!message) of.log(line);
    else if (typeof message.log === 'string') write(message.log);
    else if (message.done === true) {
      const isShort = (JSON.stringify(message.result) ?? '').length <= longestResult;
      end ??= { result: isShort ? message.result : undefined };
    } else if (typeof message.failed === 'string') {
      write(message.failed.slice(0, longestReason));
      end ??= { failed: message.failed.slice(0, longestReason) };
    } else if (typeof message.id === 'number' && typeof message.call === 'string') {
      const answering = answer(message.id, message.call, message.params).finally(() => underWay.delete(answering));
      underWay.add(answering);
    } else of.log(line);
  }

  async function answer(id: number, method: string, params: unknown): Promise<void> {
    let text: string;
    try {
      if (++calls > mostCalls)
        throw pluginErrors.FH_PLUGIN_REFUSED({ detail: `more than ${mostCalls} calls in one run` });
      if (typeof params !== 'object' || params === null)
        throw pluginErrors.FH_PLUGIN_REFUSED({ detail: 'no parameters' });
      const value = await places.hold('', () => of.calls(method, params as Readonly<Record<string, unknown>>));
      text = JSON.stringify({ id, value: value ?? null });
    } catch (error) {
      // What went wrong inside is nobody's business there.
      const { code, message } = error instanceof FreeholdError ? error : toFreeholdError(undefined);
      text = JSON.stringify({ id, error: { code, message } });
    }
    if (of.signal.aborted || of.input.destroyed || of.input.writableEnded) return;
    if (!of.input.write(`${text}\n`)) await once(of.input, 'drain', { signal: of.signal }).catch(() => undefined);
  }

  return {
    write(chunk) {
      rest += decoder.decode(chunk, { stream: true });
      for (let at = rest.indexOf('\n'); at >= 0; at = rest.indexOf('\n')) {
        const line = rest.slice(0, at);
        rest = rest.slice(at + 1);
        if (line !== '') take(line);
      }
      if (rest.length > longestLine) of.abort('it wrote a line of more than 2 MiB');
    },
    async ready() {
      while (underWay.size >= mostAtOnce) await Promise.race(underWay);
      await of.logReady();
    },
    get end() {
      return end;
    },
    async settled() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}
