import * as at from './places.ts';
import { type AsvsRow, met, metBy, notMet, partly } from './types.ts';

export const dataProtection: readonly AsvsRow[] = [
  metBy('review', 'V14.1.1', 'security.md, "Data".'),
  metBy('review', 'V14.1.2', 'security.md, "Data", has what each level asks for.'),
  partly(
    'V14.2.1',
    'Sessions, passwords, codes and tokens travel in headers and bodies; the links of new passwords and of staff carry theirs in the fragment. The token of an invitation stands in the path of its page and of its API: good once, kept as a hash, and no address is logged or sent on as a referrer.',
    [
      at.routes,
      'a forgotten password over HTTP: one answer for everybody, the token in bodies only, no session at the end',
    ],
    [at.app, 'one log line per request, an unexpected error logged once with its cause; metrics by operation'],
  ),
  met(
    'V14.2.2',
    'Answers say no-store unless they are built files with a hash in their name; inside, caches belong to a tenant and are dropped when it changes.',
    [at.http, 'answers carry the headers that keep pages safe'],
    ['src/gateway/control.test.ts', 'answers are kept, asked for once at a time, and dropped when control says so'],
    [at.isolation, 'one tenant reaches nothing of another'],
  ),
  metBy(
    'design',
    'V14.2.3',
    'No tracker, no font, no picture and no script of others: the policy allows our own origin only, and pictures in Markdown are not loaded from elsewhere.',
    [at.http, 'answers carry the headers that keep pages safe'],
  ),
  met(
    'V14.2.4',
    'What security.md says of each level is shown: passwords and tokens as hashes, files and mail sealed for their tenant, nothing of it in a log, an end for each.',
    [at.fences, 'no secret stands in a log, an argument or an environment, and passwords and tokens stand nowhere'],
    [at.files, 'content lies sealed, once per content and tenant, under a name that tells nothing'],
    [at.outbox, 'a message goes to the mail server in the name of its tenant, once, and its text is forgotten'],
    [at.lifecycle, 'delete with the key destroys what it says, and says what it destroyed'],
  ),
  met(
    'V14.2.5',
    'Only built files may be cached, each by its exact name and type; an address that looks like a file and is none is 404.',
    [
      at.page,
      'index.html with the nonce of the answer, for navigations only',
      'assets are compressed, immutable when hashed, and revalidated by ETag',
    ],
  ),
  partly(
    'V14.2.6',
    'Answers are written by schemas that name each field, and tokens are shown once; addresses of users are shown in full to their colleagues.',
    [at.routes, 'an API token over HTTP: shown once, listed without its text, revoked by its user or an owner'],
  ),
  partly(
    'V14.2.7',
    'Backups, mail, sessions, links and deleted tenants have an end that comes by itself; the security log and what apps keep do not.',
    [
      'src/tenants/grace.test.ts',
      'the key outlives the tenant for its time, and the certificate says so, then and afterwards',
    ],
    [at.outbox, 'of a deleted tenant nothing can be read, and nothing stays'],
  ),
  notMet('V14.2.8', 'Files come back byte for byte, with whatever their makers put into them.'),
  partly(
    'V14.3.1',
    'Signing out empties the storage of the tab and loads another page, and no answer or file may be kept by the browser. When a session ends otherwise, unsaved text of Desk stays in the tab (sessionStorage) until it is closed, so that nobody loses their words.',
    ['web/design/leave.test.ts', 'after a sign-out the tab remembers nothing of the account'],
    [at.http, 'answers carry the headers that keep pages safe'],
    [at.hosting, 'a file comes back as it was, with headers that keep it harmless'],
  ),
  met(
    'V14.3.2',
    'Cache-Control: no-store on every answer but built files, files of users included.',
    [at.http, 'answers carry the headers that keep pages safe'],
    [at.hosting, 'a file comes back as it was, with headers that keep it harmless'],
    [at.app, 'security headers are on every answer, and nothing tells what we run'],
  ),
  partly(
    'V14.3.3',
    'Besides preferences (light or dark, shortcuts) there is one thing: unsaved text of Desk lies in sessionStorage of its tab, until it is saved or somebody signs out there.',
  ),
];
