import { isIP } from 'node:net';
import { type Allowed, defaultPort, isHostName } from './allowed.ts';
import { outgoingErrors } from './errors.ts';

const longestUrl = 2_048;

/** What is asked of whom. */
export interface Target {
  /** Name in lower case; or an address, which only the operator's list lets through. */
  readonly host: string;
  readonly isAddress: boolean;
  readonly port: number;
  /** Path and query. */
  readonly path: string;
}

/**
 * Reads an address that somebody typed or a document named. The text is held against a narrow grammar first, because the URL parser mends a lot (tabs, backslashes, full-width
 * digits, percent signs in names) and what it mended is not what a person read. Throws FH_OUTGOING_URL_REFUSED, which quotes nothing.
 */
export function parseTarget(given: string | URL, allowed: Allowed): Target {
  const text = typeof given === 'string' ? given : given.href;
  if (text.length > longestUrl) throw refused(`it is longer than ${longestUrl} characters`);
  if (!/^[\x21-\x7e]*$/.test(text) || /[\\<>"{}|^`]/.test(text))
    throw refused('it has spaces or characters that have to be encoded; write international names as xn--…');
  if (!/^https:\/\//i.test(text)) throw refused('it does not begin with https://');
  if (text.includes('#')) throw refused('it has a part behind #');
  const [, authority = '', rest = ''] = /^https:\/\/([^/?]*)(.*)$/i.exec(text) ?? [];
  if (authority.includes('@')) throw refused('it names a user');
  if (!/^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(authority)) throw refused('it has no name of a server');
  if (rest !== '' && !/^[/?]/.test(rest)) throw refused('it has no name of a server');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) throw refused('it is no address');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? defaultPort : Number(url.port);
  const isAddress = isIP(host) !== 0;
  if (isAddress) {
    if (!allowed.hasAddress(host, port)) throw refused('it has a number where the name of the server should be');
  } else {
    if (host.endsWith('.')) throw refused('the name of the server ends with a dot');
    if (!isHostName(host)) throw refused('it has no name of a server');
    if (!host.includes('.') && !allowed.hasName(host, port)) throw refused('the name of the server is not complete');
    if (port !== defaultPort && !allowed.hasPort(port)) throw refused('it names a port');
  }
  return { host, isAddress, port, path: `${url.pathname}${url.search}` };
}

function refused(detail: string) {
  return outgoingErrors.FH_OUTGOING_URL_REFUSED({ detail });
}
