import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import { outgoingErrors } from './errors.ts';

/** For one of several addresses, so that a dead one does not use up the time of all. */
const attemptMs = 3_000;
/** Addresses of one name that are tried. */
const mostAttempts = 4;

export interface Place {
  /** Checked; the connection goes to these and nowhere else. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** The name that the certificate must have; an address, when an address was asked for. */
  readonly host: string;
}

/**
 * A TLS connection to one of the addresses, tried in turn. Nothing is resolved here: what is connected to is what was checked, so a name server that answers
 * differently the second time is not asked a second time. Throws FH_OUTGOING_NOT_REACHED, FH_OUTGOING_CERTIFICATE, or the reason of `signal`.
 */
export async function openConnection(place: Place, context: SecureContext, signal: AbortSignal): Promise<TLSSocket> {
  const addresses = place.addresses.slice(0, mostAttempts);
  let last: unknown;
  for (const [index, address] of addresses.entries()) {
    signal.throwIfAborted();
    try {
      const tcp = await connected(address, place.port, signal, index < addresses.length - 1 ? attemptMs : undefined);
      return await secured(tcp, place.host, context, signal);
    } catch (error) {
      signal.throwIfAborted();
      const words = certificateTrouble((error as NodeJS.ErrnoException).code);
      if (words) throw outgoingErrors.FH_OUTGOING_CERTIFICATE({ detail: words, cause: error });
      last = error;
    }
  }
  throw outgoingErrors.FH_OUTGOING_NOT_REACHED({ cause: last });
}

function connected(address: string, port: number, signal: AbortSignal, timeoutMs: number | undefined): Promise<Socket> {
  // An address never goes through a lookup, and no other one is tried beside it.
  const socket = connectTcp({ host: address, port, family: isIP(address), autoSelectFamily: false });
  if (timeoutMs !== undefined) socket.setTimeout(timeoutMs, () => socket.destroy(new Error('no answer')));
  return settled(socket, 'connect', signal).then(() => {
    socket.setTimeout(0);
    return socket;
  });
}

async function secured(socket: Socket, host: string, context: SecureContext, signal: AbortSignal): Promise<TLSSocket> {
  const isAddress = isIP(host) !== 0;
  const secure = connectTls({
    socket,
    secureContext: context,
    // RFC 6066, 3: no addresses. The certificate is held against `host` either way.
    ...(isAddress ? { host } : { servername: host }),
    ALPNProtocols: ['http/1.1'],
    // Said, because a variable of the environment can turn the default round.
    rejectUnauthorized: true,
  });
  try {
    await settled(secure, 'secureConnect', signal);
    return secure;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Until `event`; on an error, the end, or an abort the socket is destroyed. */
function settled(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: Error) => {
      signal.removeEventListener('abort', onAbort);
      socket.off(event, onEvent).off('error', finish).off('close', onClose);
      // Whatever a destroyed socket still has to say.
      socket.on('error', () => {});
      if (!error) return resolve();
      socket.destroy();
      reject(error);
    };
    const onEvent = () => finish();
    const onClose = () => finish(new Error('the connection was closed'));
    const onAbort = () => finish(new Error('aborted'));
    socket.once(event, onEvent).once('error', finish).once('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

/** In plain words what is wrong with a certificate; undefined: it is something else. */
function certificateTrouble(code: string | undefined): string | undefined {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return 'it has expired';
    case 'CERT_NOT_YET_VALID':
      return 'it is not valid yet';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
    case 'HOSTNAME_MISMATCH':
      return 'it is for another name';
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return 'it is not from a known authority, or the server does not send the certificates in between';
    case 'CERT_REVOKED':
    case 'CERT_UNTRUSTED':
    case 'CERT_REJECTED':
    case 'CERT_SIGNATURE_FAILURE':
    case 'CERT_CHAIN_TOO_LONG':
    case 'INVALID_CA':
    case 'INVALID_PURPOSE':
    case 'PATH_LENGTH_EXCEEDED':
      return 'it is not valid';
    default:
      return undefined;
  }
}
