/**
 * Requests to addresses that a tenant or its identity provider names. Only `https`, only public servers unless the operator allowed others, never a redirect.
 * Everything that goes wrong is a FreeholdError of errors.ts, in words that the admin of a tenant may read.
 */
export interface Outgoing {
  /**
   * Rejects with FH_OUTGOING_… for whatever prevents an answer. Resolves with any answer that is no redirect (status 200 to 299, 400 to 599): look at `ok`.
   * The body is a stream that errs with FH_OUTGOING_TOO_LARGE or FH_OUTGOING_TIMEOUT; `text()`, `json()` and so on reject with the same. Read it or
   * `body.cancel()` it: until then, at most until the time is up, a connection is held.
   */
  fetch(url: string | URL, init?: OutgoingInit): Promise<Response>;
}

export interface OutgoingInit {
  /** Default: GET. */
  readonly method?: 'GET' | 'POST';
  /** Those about the connection, the host and the body's length are ours; a program error (TypeError) if given. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Needs a `content-type` among the headers. */
  readonly body?: string | Uint8Array;
  /** Aborts; `fetch` and the body reject with its reason. */
  readonly signal?: AbortSignal;
  /** Largest body of the answer. Default: 1,048,576. */
  readonly maxBytes?: number;
  /** For everything, from the name to the last byte of the body. Default: 10,000. */
  readonly timeoutMs?: number;
  /** Who named the address, a tenant: of each a few are under way at once, so that nobody takes the room of all. Default: nobody in particular. */
  readonly onBehalfOf?: string;
}

/** The addresses of a name, IPv4 and IPv6, in the order in which they are tried; none, if it has none. Rejects if nobody could say. */
export type ResolveName = (name: string, signal: AbortSignal) => Promise<readonly string[]>;
