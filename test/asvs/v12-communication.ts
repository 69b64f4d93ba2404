import * as at from './places.ts';
import { type AsvsRow, met, notApplicable, notMet, partly } from './types.ts';

export const communication: readonly AsvsRow[] = [
  met(
    'V12.1.1',
    'TLS 1.2 and 1.3, the newer preferred, at gateway and console.',
    [at.http, 'TLS 1.2 and 1.3, nothing older, a certificate of the local authority for this very host'],
    [at.doors, 'TLS 1.2 and 1.3 only'],
  ),
  met('V12.1.2', 'Nine suites, all with forward secrecy and authenticated encryption (RFC 9325).', [
    at.http,
    'TLS 1.2 and 1.3, nothing older, a certificate of the local authority for this very host',
  ]),
  notApplicable('V12.1.3', 'There are no client certificates.'),
  notMet(
    'V12.1.4',
    'No OCSP response is stapled; certificates of the local authority live for at most 397 days and cannot be revoked.',
  ),
  notMet('V12.1.5', 'Encrypted Client Hello is not offered.'),
  met(
    'V12.2.1',
    'The gateway answers plain HTTP with nothing but the way to HTTPS, and the console not at all.',
    [at.doors, 'plain HTTP on the same port is only ever sent to HTTPS, and only towards hosts of ours'],
    [at.http, 'plain HTTP on the same port is redirected, without looking at it'],
    [at.fences, 'nothing listens but the gateway and the console, on loopback'],
  ),
  partly(
    'V12.2.2',
    "With FREEHOLD_TLS_CERT the operator's certificate is served and read again when it changes; without it a local authority signs, which browsers do not trust. Nothing fetches certificates by itself (ACME).",
    [at.listener, 'certificates from files, read again when they change'],
  ),
  met(
    'V12.3.1',
    'What leaves the machine is encrypted: an external PostgreSQL and mail servers by TLS or not at all, S3 by HTTPS (HTTP on this machine only). Between our processes there are sockets of the file system, no network.',
    [at.config, 'never travels in the clear, and errors never quote the password'],
    [at.smtp, 'the setting of the mail server: TLS unless it is this machine, and nothing of it in an error'],
    ['src/objects/region-address.test.ts', 'what is no address is refused in words that do not repeat a secret'],
  ),
  met(
    'V12.3.2',
    'PostgreSQL, mail servers, S3 and the servers that tenants name must show a certificate that is good for the very name, or nothing is said to them.',
    [at.outgoing, 'trust only certificates for the name, from an authority that is known'],
    [
      'src/main/foreign-certificates.test.ts',
      'PostgreSQL: no session begins, and no password is sent',
      'mail: nothing is sent, also when the certificate is good for another name',
      'S3: no request is made',
    ],
  ),
  notApplicable(
    'V12.3.3',
    'No internal service speaks HTTP over a network: processes speak over sockets of the file system, whose modes say who may.',
  ),
  notApplicable(
    'V12.3.4',
    'No internal service speaks TLS: processes speak over sockets of the file system, whose modes say who may.',
  ),
  partly(
    'V12.3.5',
    'The operating system says who is at the other end: sockets belong to one user and one group each. Messages between our processes carry no proof of their own.',
    [at.fences, 'one user cannot read what belongs to another', 'each process runs as its own user'],
    [at.rpc, 'the socket has its mode; a stale one is replaced, a living one and a plain file are not'],
  ),
];
