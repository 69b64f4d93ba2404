import { createInterface } from 'node:readline';

/**
 * The first program of a plugin's sandbox: it loads the entry of the plugin and calls its default export once. It speaks with the keeper in lines of JSON
 * on standard input and output (`broker.ts`). It imports nothing of ours, because nothing else is in the sandbox, and is no fence: whatever the plugin does to
 * it, the keeper answers only what the manifest declares. Argument: the entry.
 */

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

const waiting = new Map<number, Waiting>();
let count = 0;
const send = process.stdout.write.bind(process.stdout);
const tell = (message: object, then?: () => void) => send(`${JSON.stringify(message)}\n`, then);
const log = (...parts: unknown[]) => void tell({ log: parts.map(show).join(' ') });
for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) console[method] = log;

function call(method: string, params: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    waiting.set(++count, { resolve, reject });
    tell({ id: count, call: method, params });
  });
}

const lines = createInterface({ input: process.stdin });
lines.once('line', (first) => {
  lines.on('line', (line) => {
    const { id, value, error } = JSON.parse(line);
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error) asked?.reject(Object.assign(new Error(error.message), { code: error.code }));
    else asked?.resolve(value);
  });
  run(JSON.parse(first)).then(
    (result) => end({ done: true, result }),
    (error) => end({ failed: show(error) }),
  );
});

async function run({ input, tenant }: { input: unknown; tenant: unknown }): Promise<unknown> {
  const { default: handler } = await import(`/app/${process.argv[2]}`);
  if (typeof handler !== 'function') throw new Error('the entry has no default export that is a function');
  return handler(input, {
    tenant,
    log,
    api: (method: string, path: string, body?: unknown) => call('api', { method, path, body }),
    async fetch(url: string, init: object = {}) {
      const answer = await call('fetch', { url, ...init });
      const { status, headers, body } = answer as { status: number; headers: object; body: string };
      return { status, ok: status < 300, headers, text: () => body, json: () => JSON.parse(body) };
    },
    state: {
      get: async (key: string) => JSON.parse(((await call('state.get', { key })) as string | null) ?? 'null'),
      set: (key: string, value: unknown) => call('state.set', { key, value: JSON.stringify(value ?? null) }),
      delete: (key: string) => call('state.delete', { key }),
      list: (prefix = '') => call('state.list', { prefix }),
    },
  });
}

function end(message: object): void {
  let text: object = message;
  try {
    JSON.stringify(message);
  } catch {
    text = { done: true };
  }
  tell(text, () => process.exit(0));
}

function show(value: unknown): string {
  if (value instanceof Error) return value.stack ?? value.message;
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
}
