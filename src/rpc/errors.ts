import { defineErrors, FreeholdError, toFreeholdError } from '#src/kernel/index.ts';

export const rpcErrors = defineErrors({
  FH_CONTROL_UNAVAILABLE: {
    status: 503,
    title: 'A part of the service is not available right now',
    hint: 'Try again in a moment. If it lasts, the operator should look at `freehold status`.',
    retry: 'soon',
  },
  FH_RPC_TIMEOUT: {
    status: 503,
    title: 'Another part of the service did not answer in time',
    hint: 'Try again in a moment.',
    retry: 'soon',
  },
  FH_RPC_TOO_LARGE: { status: 500, title: 'A message between two processes is too large' },
  FH_RPC_UNKNOWN_METHOD: {
    status: 500,
    title: 'Another process asked for something that this one does not know',
    hint: 'Two versions of Freehold are running together: restart it.',
  },
  FH_RPC_BUSY: {
    status: 503,
    title: 'A part of the service has too much to do',
    hint: 'Try again soon.',
    retry: 'soon',
  },
  FH_SOCKET_IN_USE: {
    status: 500,
    title: 'Another process already listens on this socket',
    hint: 'Freehold is running on this data folder. Stop it first, or use another folder.',
  },
  FH_SOCKET_PATH_TOO_LONG: {
    status: 500,
    title: 'The path of the socket is too long for the operating system',
    hint: 'Choose a data folder with a shorter path.',
  },
});

/** An error on the wire: what FreeholdError shows in public, and nothing of its cause. */
export interface WireError {
  readonly code: string;
  readonly title: string;
  readonly status: number;
  readonly retry: FreeholdError['retry'];
  readonly detail?: string;
  readonly hint?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly retryAfterSeconds?: number;
}

export function toWireError(error: unknown): WireError {
  const { code, title, status, retry, detail, hint, fields, retryAfterSeconds } = toFreeholdError(error);
  return { code, title, status, retry, detail, hint, fields, retryAfterSeconds };
}

/** Throws TypeError on anything that `toWireError` did not make. */
export function parseWireError(value: unknown): FreeholdError {
  const wire = value as WireError | null;
  if (
    typeof wire !== 'object' ||
    wire === null ||
    typeof wire.code !== 'string' ||
    !/^FH_[A-Z0-9_]+$/.test(wire.code) ||
    typeof wire.title !== 'string' ||
    !Number.isInteger(wire.status)
  )
    throw new TypeError('malformed error');
  const { code, title, status, retry, detail, hint, fields, retryAfterSeconds } = wire;
  return new FreeholdError(code, { status, title, retry }, { detail, hint, fields, retryAfterSeconds });
}
