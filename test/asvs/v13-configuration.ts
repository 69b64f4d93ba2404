import * as at from './places.ts';
import { type AsvsRow, met, metBy, notMet, partly } from './types.ts';

export const configuration: readonly AsvsRow[] = [
  metBy('review', 'V13.1.1', 'security.md, "What speaks with what".'),
  partly(
    'V13.1.2',
    'Said for PostgreSQL (decision 0003, operations.md) and mail (decision 0020); for S3 in the code only.',
  ),
  partly(
    'V13.1.3',
    'Said for PostgreSQL (decision 0003), mail (0020) and regions (0010, 0018), with time-outs and pauses between tries; not for every external system in one place.',
  ),
  partly(
    'V13.1.4',
    'security.md, "Keys", lists them; only the key of backups has a way to be rotated, and no secret has a schedule.',
  ),
  partly(
    'V13.2.1',
    'Processes are told apart by the operating system (a user each, sockets with modes); roles of PostgreSQL have random passwords of their own, which a tenant gets anew each time it is opened, but control and replication keep theirs.',
    [at.fences, 'the database lets nobody in by who they are, but its own user', 'each process runs as its own user'],
    [at.databases, 'closed means closed: sessions end, nobody comes in, open again lets in with new passwords only'],
  ),
  met(
    'V13.2.2',
    'A user of the operating system per part, which cannot become root again; control is no superuser of PostgreSQL, replication may replicate only, and tenants have an app role and a platform role for one database each.',
    [at.fences, 'no process of them can gain rights again', 'one user cannot read what belongs to another'],
    [at.databases, 'a new database is owned by its own two roles, each with exactly its rights'],
    ['src/postgres/replication.test.ts', 'the role may replicate, and nothing else'],
  ),
  met(
    'V13.2.3',
    'There are no default credentials: passwords of roles are made at the first start, and the first member of staff comes by a link that works once.',
    [at.staff, 'the set-up link makes the first member, once'],
    [at.fences, 'the database lets nobody in by who they are, but its own user'],
  ),
  partly(
    'V13.2.4',
    'The server goes to what the operator has set (PostgreSQL, mail, S3, heartbeat), checked where it is read, and for single sign-on to what owners name: any public server, by HTTPS on its port, and others only where FREEHOLD_OUTGOING_ALLOW names them. There is no list of the public ones.',
    [at.config, 'refuse what is wrong, and name it'],
    [
      at.outgoing,
      'are names, addresses and ranges, each on a port',
      'are refused when they are no such thing, or never spoken to',
    ],
  ),
  partly('V13.2.5', 'As V13.2.4: the settings are the list; the operating system or a firewall is not told of it.'),
  partly(
    'V13.2.6',
    'PostgreSQL is used as decision 0003 says, and a test holds the connections below the budget; S3 and mail have time-outs and pauses that nobody compares with a document.',
    [
      'src/databases/budget.test.ts',
      'the server itself never counts more sessions than the budget, under a mixed load',
    ],
  ),
  met(
    'V13.3.1',
    'The key store is a folder of control alone; keys are wrapped, derived per tenant and purpose, and destroyed for ever. Passwords come from files or variables that only control gets, and stand in no log, argument or error. (Level 3: no hardware.)',
    [
      at.keyStore,
      'files are private, and none holds a key in clear',
      'a store that others may read is not opened',
      'a destroyed key is gone for its tenant only',
    ],
    [at.fences, 'no secret stands in a log, an argument or an environment, and passwords and tokens stand nowhere'],
    [
      at.config,
      'a secret that is not where its setting says, and a mail server that is none, are named and never quoted',
    ],
  ),
  met(
    'V13.3.2',
    'Control alone opens the key store; a gateway gets derived keys of tenants in use, the shipper that of its cluster.',
    [at.fences, 'one user cannot read what belongs to another'],
    [
      'src/main/supervisor.test.ts',
      'a gateway is not told how control reaches the database, and nobody is told what is no setting',
    ],
    [
      at.backupKeys,
      'whoever reads the keys of clusters beside control gets those and no others, and leaves everything as it is',
    ],
    ['src/tenants/directory.test.ts', 'a sealed password opens for its own tenant and use only'],
  ),
  partly(
    'V13.3.3',
    'Root key and authority stay in control; gateways and the shipper use derived keys in their own memory. There is no module apart, and no external key service yet.',
  ),
  notMet('V13.3.4', 'Keys of backups are rotated by command; nothing expires by itself.'),
  partly(
    'V13.4.1',
    'No address reaches a folder: pages are built files, served from memory. The processes run from the checkout when others can read it, and its .git lies beside it.',
    [at.page, 'index.html with the nonce of the answer, for navigations only'],
    [at.fences, 'runs from a clone below a folder that nobody else can enter'],
  ),
  metBy(
    'design',
    'V13.4.2',
    'There is no debug mode: an error without a code of ours says nothing, whatever the level of the log. Failpoints are off unless FREEHOLD_FAILPOINTS names them.',
    [at.app, 'one log line per request, an unexpected error logged once with its cause; metrics by operation'],
  ),
  met(
    'V13.4.3',
    'There are no folders to list: pages are served from memory.',
    [at.page, 'index.html with the nonce of the answer, for navigations only'],
    [at.badInput, 'paths that lead out of what they name'],
  ),
  met('V13.4.4', 'The gateway answers TRACE and CONNECT with 405; the console has no route for them.', [
    at.limits,
    'limits: 404, 405, 413, 415, forbidden keys, long addresses, many headers',
  ]),
  met(
    'V13.4.5',
    'The OpenAPI documents are meant to be read. /metrics is for staff, and on the command socket; health is answered in one word.',
    [at.http, 'OpenAPI documents describe the platform and the app'],
    [at.doors, 'health is answered from this machine without a tenant'],
    [at.fences, 'nothing listens but the gateway and the console, on loopback'],
  ),
  met(
    'V13.4.6',
    'No answer names a program or a version of one.',
    [at.app, 'security headers are on every answer, and nothing tells what we run'],
    [at.gateway, 'security headers on every kind of answer, and no banner'],
  ),
  metBy(
    'design',
    'V13.4.7',
    'Only what the build wrote is served, read into memory at the start; source maps are left out.',
    [at.page, 'assets are compressed, immutable when hashed, and revalidated by ETag'],
  ),
];
