/** The rules of docs/architecture.md as data; each says why it is there. `check.ts` applies them. */

/** From the top down: a folder of `src` imports only from lower layers. */
export const layers: readonly { readonly folders: readonly string[]; readonly reason: string }[] = [
  { folders: ['main', 'cli'], reason: 'compose everything; nothing may depend on how processes are put together' },
  {
    folders: ['gateway', 'console-api'],
    reason: 'the doors: they know features, features do not know which door called',
  },
  {
    folders: [
      'hosting',
      'identity',
      'files',
      'staff',
      'portability',
      'backups',
      'mail',
      'releases',
      'processes',
      'fleet',
      'plugins',
    ],
    reason: 'what the product does; features meet through ports wired in main',
  },
  { folders: ['databases'], reason: "the only way to a tenant's data" },
  { folders: ['clusters'], reason: 'PostgreSQL servers, which know nothing of who uses them' },
  { folders: ['tenants'], reason: 'the registry and the life of a tenant' },
  { folders: ['keys'], reason: 'the key hierarchy' },
  { folders: ['audit'], reason: 'everything above may record an event' },
  { folders: ['jobs'], reason: 'durable work' },
  {
    folders: ['http', 'objects', 'outgoing', 'postgres', 'rpc'],
    reason: 'conventions over one technology each, without product words',
  },
  { folders: ['kernel'], reason: 'imports nothing of ours, so that everything may import it' },
];

/** Imports inside one layer that are meant. All others are refused. */
export const neighbours: readonly { readonly from: string; readonly to: string; readonly reason: string }[] = [
  {
    from: 'main',
    to: 'cli',
    reason: 'the entry puts `up` and `run`, which start processes, beside the commands that speak with them',
  },
  { from: 'staff', to: 'identity', reason: 'staff sign in with the same password hashing and the same rules' },
];

/** One owner for each dangerous thing. `where` are beginnings of paths below the top of the repository. */
export interface Owner {
  readonly what: string;
  readonly where: readonly string[];
  readonly reason: string;
  /** Modules, with the names of them that are meant; no names: every name. */
  readonly modules?: readonly { readonly name: string; readonly names?: RegExp }[];
  /** A piece of code, outside comments and strings. */
  readonly code?: RegExp;
}

const secretMakers =
  /^(\*|createCipheriv|createDecipheriv|createPrivateKey|generateKeyPair|generateKeyPairSync|generateKey|generateKeySync|createSign|sign|privateDecrypt|privateEncrypt|hkdf|hkdfSync|webcrypto|subtle)$/;

export const owners: readonly Owner[] = [
  {
    what: 'process.env',
    where: ['src/main/'],
    reason:
      'settings are read once, at the root, and passed as arguments; a module that reads them cannot be tested or trusted',
    code: /\bprocess\s*(?:\?\.|\.)\s*env\b|\bprocess\s*\[/,
    modules: [{ name: 'node:process', names: /^(\*|env)$/ }],
  },
  {
    what: 'package pg',
    where: ['src/postgres/'],
    reason: 'one place knows how to connect, cancel and read SQLSTATE',
    modules: [{ name: 'pg' }, { name: 'pg-pool' }, { name: 'pg-native' }],
  },
  {
    what: 'package @aws-sdk/client-s3',
    where: ['src/objects/'],
    reason: 'one place knows what services answer, what may be tried again, and what of it may be shown',
    modules: [{ name: '@aws-sdk/client-s3' }],
  },
  {
    what: 'ciphers and private keys',
    where: ['src/keys/'],
    reason: 'one reviewed place for nonces, tags and key separation',
    modules: [{ name: 'node:crypto', names: secretMakers }, { name: '@peculiar/x509' }, { name: 'age-encryption' }],
    code: /\bcrypto\s*\.\s*subtle\b/,
  },
  {
    what: 'argon2',
    where: ['src/identity/'],
    reason: 'one bounded queue for password hashing; a second one could use up all memory',
    modules: [{ name: 'node:crypto', names: /^argon2(Sync)?$/ }, { name: 'argon2' }],
  },
  {
    what: 'XML and its signatures',
    where: ['src/identity/saml/'],
    reason:
      'one strict reader with limits, in a thread of its own; a second one would read the same document differently',
    modules: [
      { name: 'saxes' },
      { name: '@xmldom/xmldom' },
      { name: 'xml-crypto' },
      { name: 'xpath' },
      { name: 'fast-xml-parser' },
    ],
  },
  {
    what: 'WebAuthn',
    where: ['src/identity/passkeys/'],
    reason: 'one place decides what is asked of authenticators and what of their answers is believed',
    modules: [{ name: '@simplewebauthn/server' }, { name: '@simplewebauthn/server/helpers' }],
  },
  {
    what: 'child processes',
    where: ['src/clusters/', 'src/main/', 'src/databases/', 'src/portability/', 'src/processes/'],
    reason:
      "clusters run PostgreSQL, main runs our own processes, databases and portability run pg_dump and pg_restore on one tenant's database, processes start sandboxes and what is in them; a request must never start a process",
    modules: [{ name: 'node:child_process' }, { name: 'child_process' }, { name: 'node:cluster' }],
  },
  {
    what: 'random numbers',
    where: ['src/kernel/'],
    reason: 'one door, so that every use can be found and none is predictable',
    modules: [
      {
        name: 'node:crypto',
        names: /^(randomBytes|randomFill|randomFillSync|randomInt|randomUUID|getRandomValues)$/,
      },
    ],
    code: /\bMath\s*\.\s*random\b|\bcrypto\s*\.\s*(?:randomUUID|getRandomValues)\b/,
  },
  {
    what: 'the clock',
    where: ['src/kernel/'],
    reason: 'time is injected, so that tests can move it',
    code: /\bDate\s*\.\s*now\b|\bnew\s+Date\s*\(\s*\)|\bnew\s+Date\b(?!\s*\()/,
  },
];

/** Lines of one source file. */
export const longFileLines = 300;
export const tooLongFileLines = 400;

/** Files that may be longer, each with a reason. */
export const longOnPurpose: readonly { readonly path: string; readonly reason: string }[] = [
  { path: 'apps/desk/api.ts', reason: 'the wire contract of Desk in one place: types only, half of it documentation' },
  { path: 'apps/desk/demo/freight.ts', reason: 'data to look at, not code' },
  { path: 'apps/desk/demo/instruments.ts', reason: 'data to look at, not code' },
];
