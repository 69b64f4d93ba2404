import * as at from './places.ts';
import { type AsvsRow, met, metBy, partly } from './types.ts';

export const architecture: readonly AsvsRow[] = [
  metBy('review', 'V15.1.1', 'security.md, "Packages", has the time frames.'),
  met(
    'V15.1.2',
    'The lock file is the inventory: every package with its exact version and the checksum of its content, all from the public registry of npm; `npm sbom --package-lock-only` writes it as CycloneDX or SPDX.',
    [at.structure, 'every package is pinned to one version and one content, from the registry'],
  ),
  metBy('review', 'V15.1.3', 'security.md, "What costs much", with what bounds each.'),
  metBy('review', 'V15.1.4', 'security.md, "Packages", names those that read what strangers send, or hold keys.'),
  metBy(
    'review',
    'V15.1.5',
    'security.md, "What is dangerous": processes of PostgreSQL, imports of archives, apps inside the gateway.',
  ),
  partly(
    'V15.2.1',
    'Versions are the newest that there were when they were taken, and a test refuses versions with faults that we know. Others are found by whoever runs `npm audit`, not by the tests, which need no network.',
    [at.structure, 'every package is pinned to one version and one content, from the registry'],
  ),
  met(
    'V15.2.2',
    'Hashes of passwords wait in a bounded queue; statements, uploads, imports and lists have a longest time or size; what takes long is an operation or a job beside the requests.',
    [
      at.passwordHash,
      'the queue bounds what hashes at once and who waits, serves in order, and keeps places for whoever is known',
    ],
    [at.passwordRules, 'nothing that can be typed stalls the judge'],
    [
      at.leases,
      'statement and lock time-outs have codes of their own',
      'one tenant cannot take all connections; who waits too long is told to come back',
    ],
    [at.limits, 'strangers who send their bodies slowly keep out strangers, and no user'],
  ),
  partly(
    'V15.2.3',
    "Processes of an installation in root's hands below a closed folder run from a copy without tests and tools; elsewhere from the checkout, where both lie. The sample app can be chosen for a tenant, and failpoints can be armed by a setting.",
    [at.fences, 'runs from a clone below a folder that nobody else can enter'],
  ),
  met(
    'V15.2.4',
    'npm ci takes what the lock file names, by checksum, without running scripts of packages; no name is looked for in a second registry.',
    [at.structure, 'every package is pinned to one version and one content, from the registry'],
  ),
  met(
    'V15.2.5',
    "A user of the operating system per part that cannot gain rights again, PostgreSQL without TCP, imports as the tenant's own role, a server of its own without network for each restore.",
    [
      at.fences,
      'each process runs as its own user',
      'no process of them can gain rights again',
      'one user cannot read what belongs to another',
    ],
    [at.portability, `taken back as a whole: a dump whose statement \${what}`],
    ['src/clusters/recovery/faults.test.ts', 'settings of the source and its other remains do not come along'],
  ),
  met(
    'V15.3.1',
    'Answers are written by schemas that name each field, and rows are read by columns, never all of them (the architecture test refuses SELECT *).',
    [at.routes, 'an API token over HTTP: shown once, listed without its text, revoked by its user or an owner'],
    [at.structure, 'the tree follows docs/architecture.md'],
  ),
  met(
    'V15.3.2',
    'Fetches for tenants and the heartbeat follow no redirect; the clients of S3 and mail follow none to other hosts.',
    [at.outgoing, 'follow no redirect'],
    [
      at.forbiddenServers,
      'are reached by no redirect, and by no second answer of a name server; the kernel counts the same',
    ],
  ),
  met(
    'V15.3.3',
    'Each body has a schema of its own, and a field that it does not know is refused; one change of a user at a time.',
    [at.routes, 'bad bodies are refused and change nothing'],
    [at.consoleApi, 'every body and query is refused unless each field is known'],
  ),
  met(
    'V15.3.4',
    'Nothing of ours stands before the gateway, and forwarding headers are not read: the address is that of the connection, which counts in limits (IPv6 by network) and logs.',
    [at.doors, 'raw requests: what is not exactly one request for one host of ours is refused'],
    ['src/gateway/host.test.ts', 'addresses are counted by who they belong to'],
  ),
  met(
    'V15.3.5',
    'TypeScript in its strict form, === only (Biome), and types in every schema: what arrives in a handler has the type that it says.',
    [at.app, 'bad requests are refused with what is wrong, and nothing is answered by the framework itself'],
    [at.badInput, 'query values that make no sense'],
  ),
  met(
    'V15.3.6',
    'The processes run without __proto__ (--disable-proto=delete), JSON with forbidden keys is refused, and what strangers name is kept in Maps.',
    [at.badInput, 'JSON that means to change objects it was not given'],
    [at.cookie, 'names of built-in properties are names like any other'],
    [at.app, 'bad requests are refused with what is wrong, and nothing is answered by the framework itself'],
  ),
  met(
    'V15.3.7',
    'Each parameter has one source and a schema, so a query that says something twice is no text and is refused; so are two Host headers, two of our cookies and two Authorization headers.',
    [at.badInput, 'query values that make no sense'],
    [at.cookie, 'what parsers disagree about is refused'],
    [at.bearer, 'with a token and a cookie, or two tokens, it is not said who asks'],
  ),
  metBy(
    'design',
    'V15.4.1',
    'Each process runs its JavaScript in one thread, and processes share nothing but the database, sockets and files, which are locked or replaced as a whole.',
    [at.keyStore, 'many makers at once agree on one root key and one tenant key'],
  ),
  met(
    'V15.4.2',
    'One statement, or a lock and a transaction, decides and acts; a session that is presumed is checked in the same turn of the database as the read.',
    [
      at.users,
      'a right that was taken away between the door and the act is gone',
      'an invitation becomes one user, whoever presents it at the same time',
    ],
    [at.secondStep, 'each statement that uses something up succeeds once in a hundred'],
    ['src/postgres/guard.test.ts', 'a guard that refuses keeps the rows back'],
  ),
  met(
    'V15.4.3',
    'Locks are taken in one order inside the feature that owns the rows, each wait has an end, and deadlocks are run again.',
    [at.postgres, 'transactions that the server refuses for the moment are run again'],
    ['apps/desk/test/board.test.ts', 'bulk changes, moves and edits of the same items at once all come through'],
  ),
  met(
    'V15.4.4',
    'Connections are given to the tenants that wait in turn; strangers and signed-in users have places apart; hashes have a queue of their own; SAML messages are judged and named servers are asked for tenants in turn or with a limit for each.',
    [at.leases, 'the tenants that wait are served in turn, each in the order of arrival'],
    ['test/faults/connections.test.ts', 'a noisy tenant does not push out a quiet one'],
    [at.limits, 'strangers who send their bodies slowly keep out strangers, and no user'],
    ['src/identity/saml/judging.test.ts', 'a flood of one sender holds nobody else up, and its own queue is bounded'],
    ['src/outgoing/outgoing.test.ts', 'are a few at a time on behalf of one, so that nobody takes the room of all'],
  ),
];
