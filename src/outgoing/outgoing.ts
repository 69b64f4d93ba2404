import { createSecureContext, rootCertificates, type SecureContext, type TLSSocket } from 'node:tls';
import { FreeholdError, type Log } from '#src/kernel/index.ts';
import { type Allowed, parseAllowed } from './allowed.ts';
import { openConnection } from './connect.ts';
import { outgoingErrors } from './errors.ts';
import { checkInit, exchange, toResponse } from './exchange.ts';
import { askNameServers } from './resolve.ts';
import { findSpecial } from './special-addresses.ts';
import { parseTarget, type Target } from './target.ts';
import type { Outgoing, ResolveName } from './types.ts';

/** Requests of one process that are under way, bodies included. */
const mostAtOnce = 32;
/** Of them, on behalf of one. */
const mostOfOne = 8;
const defaultTimeoutMs = 10_000;
const defaultMaxBytes = 1_048_576;
/** More than any service has; each is checked. */
const mostAddresses = 64;

export interface OutgoingOptions {
  /** What is open besides the public internet; see `parseAllowed`. Throws FH_OUTGOING_ALLOW_INVALID. */
  readonly allow: readonly string[];
  /** Certificate authorities in PEM, besides those that Node.js knows. */
  readonly ca?: string | undefined;
  readonly log: Log;
  /** Default: the DNS servers of this machine. */
  readonly resolve?: ResolveName;
}

/** The one door for requests to addresses that a tenant or its identity provider names. */
export function createOutgoing({ allow, ca, log, resolve = askNameServers }: OutgoingOptions): Outgoing {
  const allowed = parseAllowed(allow);
  let context: SecureContext | undefined;
  let underWay = 0;
  const underWayOf = new Map<string, number>();

  return {
    async fetch(url, init = {}) {
      checkInit(init);
      const { timeoutMs = defaultTimeoutMs, maxBytes = defaultMaxBytes, onBehalfOf = '' } = init;
      const target = parseTarget(url, allowed);
      const ofOne = () => underWayOf.get(onBehalfOf) ?? 0;
      if (underWay >= mostAtOnce || (onBehalfOf && ofOne() >= mostOfOne))
        throw outgoingErrors.FH_OUTGOING_BUSY({ retryAfterSeconds: 5 });
      // TLS 1.2 at least. The authorities of Node.js are parsed once.
      context ??= createSecureContext({ minVersion: 'TLSv1.2', ...(ca && { ca: [...rootCertificates, ca] }) });
      const end = new AbortController();
      const timer = setTimeout(() => end.abort(outgoingErrors.FH_OUTGOING_TIMEOUT()), timeoutMs);
      const onAbort = () => end.abort(init.signal!.reason);
      init.signal?.addEventListener('abort', onAbort, { once: true });
      if (init.signal?.aborted) onAbort();
      let socket: TLSSocket | undefined;
      // The time counts for the body too, read or not: a server that sends a byte now and then holds nothing for longer.
      const onEndOfTime = () => socket?.destroy();
      end.signal.addEventListener('abort', onEndOfTime, { once: true });
      let isOver = false;
      underWay++;
      underWayOf.set(onBehalfOf, ofOne() + 1);
      const finish = () => {
        if (isOver) return;
        isOver = true;
        underWay--;
        if (ofOne() > 1) underWayOf.set(onBehalfOf, ofOne() - 1);
        else underWayOf.delete(onBehalfOf);
        clearTimeout(timer);
        init.signal?.removeEventListener('abort', onAbort);
        socket?.destroy();
      };
      const explain = (error: unknown): unknown => {
        if (end.signal.aborted) return end.signal.reason;
        return error instanceof FreeholdError ? error : outgoingErrors.FH_OUTGOING_ANSWER_REFUSED({ cause: error });
      };
      try {
        const addresses = await findAddresses(target, allowed, resolve, end.signal);
        socket = await openConnection({ ...target, addresses }, context, end.signal);
        socket.once('close', finish);
        const answer = await exchange(socket, target, init);
        end.signal.throwIfAborted();
        return toResponse(answer, { maxBytes, explain, onEnd: finish });
      } catch (error) {
        const reason = explain(error);
        finish();
        // The operator learns why, whoever named the address does not. Never the path: it may hold a secret.
        if (reason instanceof FreeholdError) {
          const { code, detail, cause } = reason;
          const why = cause instanceof Error ? cause.message : detail;
          log.info('a request to a named server failed', { host: target.host, port: target.port, code, why });
        }
        throw reason;
      }
    },
  };
}

/** Every address of the name, none of them forbidden. One that is forbidden spoils them all: honest servers do not have such neighbours. */
async function findAddresses(
  target: Target,
  allowed: Allowed,
  resolve: ResolveName,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { host, port } = target;
  const addresses = target.isAddress ? [host] : await resolved(host, resolve, signal);
  if (addresses.length === 0 || addresses.length > mostAddresses)
    throw outgoingErrors.FH_OUTGOING_NOT_REACHED({ cause: new Error(`the name has ${addresses.length} addresses`) });
  const isOperators = allowed.hasName(host, port);
  for (const address of addresses) {
    const special = findSpecial(address);
    const isOpen =
      !special?.isNever && (isOperators || allowed.hasAddress(address, port) || (!special && port === 443));
    if (isOpen) continue;
    throw outgoingErrors.FH_OUTGOING_NOT_REACHED({
      cause: new Error(`it leads to ${address}: ${special?.words ?? 'public, but not on this port'}`),
    });
  }
  return addresses;
}

async function resolved(name: string, resolve: ResolveName, signal: AbortSignal): Promise<readonly string[]> {
  signal.throwIfAborted();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});
  try {
    return await Promise.race([resolve(name, signal), aborted]);
  } catch (error) {
    signal.throwIfAborted();
    throw outgoingErrors.FH_OUTGOING_NOT_REACHED({ cause: error });
  }
}
