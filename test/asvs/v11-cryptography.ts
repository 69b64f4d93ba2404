import * as at from './places.ts';
import { type AsvsRow, met, metBy, notMet, partly } from './types.ts';

export const cryptography: readonly AsvsRow[] = [
  metBy(
    'review',
    'V11.1.1',
    'security.md, "Keys", and decisions 0004 and 0010: what keys there are, where they lie, who holds them, how they are made, rotated and destroyed.',
  ),
  metBy('review', 'V11.1.2', 'security.md, "Keys" and "Algorithms".'),
  met(
    'V11.1.3',
    'The architecture test finds every use of ciphers, private keys, argon2 and random numbers outside of the one folder that may have it.',
    [at.structure, 'the tree follows docs/architecture.md', `finds \${what}`],
  ),
  partly('V11.1.4', 'The inventory is there (security.md); a way to post-quantum algorithms is not planned.'),
  metBy(
    'design',
    'V11.2.1',
    'OpenSSL through node:crypto and node:tls, @peculiar/x509 for certificates, age-encryption for exports to a recipient; nothing is home-made but formats around AES-GCM and HMAC.',
  ),
  partly(
    'V11.2.2',
    'Hashes of passwords name their parameters and are replaced at the next sign-in; keys of backups have versions and are rotated; sealed objects name their format. The keys of cookies, credentials and files stay with their first version.',
    [at.identity, 'an old hash is replaced at the next sign-in'],
    [at.backupKeys, 'what was sealed before a rotation opens after it, for backups and for every older use'],
  ),
  partly(
    'V11.2.3',
    'What we make has 128 bits and more: AES-256, HMAC-SHA-256, P-256, Ed25519, X25519. What others make is taken from RSA of 2,048 bits (112 bits of security): passkeys of many machines, certificates of the operator and of identity providers.',
  ),
  partly(
    'V11.2.4',
    'Secrets are looked up by their hash or compared with timingSafeEqual; that no path is shorter was measured for sign-ins only.',
    [at.attempts, 'an unknown address takes as long as a known one'],
  ),
  met(
    'V11.2.5',
    'Whatever is wrong with what was sealed is one error without a reason, and nothing of it is given out before its seal has opened.',
    [at.sealer, 'every flipped bit and every cut is refused alike'],
    [
      at.sealedObject,
      'every flipped bit of a small object is one error',
      'the header is given out only when its seal has opened',
    ],
  ),
  metBy(
    'design',
    'V11.3.1',
    'AES-256-GCM is the only cipher in src/keys, which alone may have one; no RSA encryption is there.',
    [at.structure, 'the tree follows docs/architecture.md'],
  ),
  metBy('design', 'V11.3.2', 'AES-256-GCM everywhere; ChaCha20-Poly1305 in TLS and in age.', [
    at.http,
    'TLS 1.2 and 1.3, nothing older, a certificate of the local authority for this very host',
  ]),
  met(
    'V11.3.3',
    'Everything sealed is authenticated, with what it is and whose it is; streams also against being cut, reordered and spliced.',
    [at.sealer, 'what is sealed opens with the same key and context, and with nothing else'],
    [at.sealedStream, 'a long stream is refused when cut around chunks, reordered, repeated, extended or spliced'],
    [at.sealedObject, 'no change of any kind opens'],
  ),
  met(
    'V11.3.4',
    'Small values have random nonces under keys of one tenant and purpose; streams and objects have a key of their own from a random salt, and count.',
    [at.sealedStream, 'one plaintext sealed twice shares no bytes of key or text'],
    [at.sealedObject, 'one content sealed twice shares no salt and no bytes'],
  ),
  metBy('design', 'V11.3.5', 'No cipher is put together with a MAC: AES-GCM is both.'),
  metBy(
    'review',
    'V11.4.1',
    'SHA-256 everywhere; SHA-1 only inside HMAC for codes of apps (RFC 6238) and as the index of a public list; no MD5.',
    [at.totp, 'the test vectors of RFC 6238 for SHA-1; ours are the last six of their eight digits'],
  ),
  met(
    'V11.4.2',
    'argon2id, 19 MiB, 2 passes, 1 lane (OWASP), in a bounded queue; older parameters are replaced at the next sign-in.',
    [at.passwordHash, 'a hash is a PHC string of argon2id at the OWASP floor, and verifies'],
    [at.identity, 'an old hash is replaced at the next sign-in'],
  ),
  met('V11.4.3', 'SHA-256 and Ed25519 (SHA-512) for signatures, checksums and names of content.', [
    at.signing,
    'any other content, key or signature is refused',
  ]),
  metBy(
    'design',
    'V11.4.4',
    'No key is derived from a password that somebody chose; the secret of a recovery kit is random. Passwords of PostgreSQL roles are random and kept as SCRAM-SHA-256.',
    [at.postgres, 'the verifier lets exactly its password in'],
  ),
  metBy(
    'review',
    'V11.5.1',
    'The generator of the operating system, through one door. Tokens of sessions, links and challenges have 256 bits, API tokens 178; recovery codes have 120, which 6.5.4 allows for lookup secrets.',
    [at.structure, 'the tree follows docs/architecture.md'],
  ),
  metBy(
    'design',
    'V11.5.2',
    'The generator of the system does not run dry; names and ids, of which there are many, take its bytes in blocks.',
    [at.kernel, 'do not repeat'],
  ),
  met(
    'V11.6.1',
    'Keys are made by OpenSSL: P-256 for TLS, Ed25519 for signatures; certificates are signed by ECDSA with SHA-256. A foreign key is refused.',
    [
      at.authority,
      'other names and other keys are refused',
      'a leaf is for one host, for servers, at most 397 days, with a random serial number',
    ],
    [at.signing, 'any other content, key or signature is refused'],
  ),
  met(
    'V11.6.2',
    'Only ephemeral key exchange in TLS (ECDHE, TLS 1.3); a suite without it is refused.',
    [at.http, 'TLS 1.2 and 1.3, nothing older, a certificate of the local authority for this very host'],
    [at.doors, 'TLS 1.2 and 1.3 only'],
  ),
  notMet('V11.7.1', "Memory is not encrypted; that is the machine's part."),
  partly(
    'V11.7.2',
    'Gateways hold keys of tenants in use only, and pages get the fields they show; memory is not wiped after use.',
  ),
];
