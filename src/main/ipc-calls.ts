import { toFreeholdError } from '#src/kernel/index.ts';
import { parseWireError, toWireError, type WireError } from '#src/rpc/index.ts';

/** One end of an IPC channel: a child process, or the process itself. */
export interface Channel {
  send?(message: unknown, handle: undefined, options: undefined, done: (error: Error | null) => void): unknown;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
}

type Handlers = Readonly<Record<string, (...params: never[]) => Promise<unknown>>>;
type Message =
  | { readonly type: 'ask'; readonly id: number; readonly method: string; readonly params: readonly unknown[] }
  | { readonly type: 'answer'; readonly id: number; readonly value?: unknown; readonly error?: string | WireError };

export interface Calls {
  /** Rejects with the other side's words, when it is gone, or after the deadline. */
  call<T>(method: string, params: readonly unknown[], deadlineMs: number): Promise<T>;
}

/** Calls both ways over a channel with `advanced` serialization, so that numbers of any size and bytes go as they are. */
export function createCalls(channel: Channel, handlers: Handlers): Calls {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let count = 0;
  let isGone = false;
  const gone = () => new Error('the process at the other end is gone');

  function send(message: Message): void {
    // A channel that was closed meanwhile is noticed by its end.
    channel.send?.(message, undefined, undefined, () => {});
  }

  channel.on('message', (message) => {
    const { type } = message as { readonly type?: unknown };
    if (type === 'ask') void answer(message as Extract<Message, { type: 'ask' }>);
    if (type === 'answer') settle(message as Extract<Message, { type: 'answer' }>);
  });
  channel.on('disconnect', () => {
    isGone = true;
    for (const { reject } of waiting.values()) reject(gone());
  });

  async function answer({ id, method, params }: Extract<Message, { type: 'ask' }>): Promise<void> {
    try {
      if (!Object.hasOwn(handlers, method)) throw new TypeError(`there is no ${method}`);
      send({ type: 'answer', id, value: await handlers[method]!(...(params as never[])) });
    } catch (error) {
      const isUnnamed = toFreeholdError(error).code === 'FH_INTERNAL' && error instanceof Error;
      send({ type: 'answer', id, error: isUnnamed ? error.message : toWireError(error) });
    }
  }

  function settle({ id, value, error }: Extract<Message, { type: 'answer' }>): void {
    const call = waiting.get(id);
    if (error !== undefined) call?.reject(typeof error === 'string' ? new Error(error) : parseWireError(error));
    else call?.resolve(value);
  }

  return {
    async call<T>(method: string, params: readonly unknown[], deadlineMs: number): Promise<T> {
      if (isGone) throw gone();
      const id = ++count;
      const pending = Promise.withResolvers<unknown>();
      waiting.set(id, pending);
      const late = () => pending.reject(new Error(`no answer within ${Math.round(deadlineMs / 1000)} s`));
      const timer = setTimeout(late, deadlineMs);
      try {
        send({ type: 'ask', id, method, params });
        return (await pending.promise) as T;
      } finally {
        clearTimeout(timer);
        waiting.delete(id);
      }
    },
  };
}
