import * as at from './places.ts';
import { type AsvsRow, met, metBy, partly } from './types.ts';

export const authorization: readonly AsvsRow[] = [
  metBy(
    'review',
    'V8.1.1',
    'security.md, "Who may do what", for the platform; each app says it in its routes, and Desk in apps/desk/api.ts.',
  ),
  metBy('review', 'V8.1.2', 'security.md, "Who may do what", names the fields that may be read and written by whom.'),
  metBy(
    'review',
    'V8.1.3',
    'security.md, "Who may do what": the network of an address, known browsers, the time; nothing else about the surroundings counts.',
  ),
  partly(
    'V8.1.4',
    'identity.md and decision 0005 have what counts at the sign-in, with thresholds and what follows; there is no scale of risk.',
  ),
  met(
    'V8.2.1',
    'Each route says which roles may call it; gateway and feature both look, and the suite calls every route of both OpenAPI documents as everybody.',
    [at.routes, 'every route says who may call it; signed out, other roles and the other tenant’s people are refused'],
    [at.gateway, 'roles of a route'],
    [at.hosting, 'nobody, and a role that is not named, are refused'],
    [at.isolation, 'one tenant reaches nothing of another'],
  ),
  met(
    'V8.2.2',
    "A tenant's data is reached through a connection that can open this tenant's database and no other; inside it, users reach sessions, tokens and comments of their own by their id in the statement.",
    [at.isolation, 'one tenant reaches nothing of another'],
    [at.databases, 'a tenant role reaches no other database and no other tenant'],
    [at.identity, 'users list and revoke their own sessions, and no others'],
    [at.deskComments, 'comments are written, edited and deleted by their authors and by administrators'],
  ),
  met(
    'V8.2.3',
    "Answers are written by a schema that names each field, bodies by one that refuses every other; the app's role cannot read users, hashes or sessions at all.",
    [
      at.routes,
      'bad bodies are refused and change nothing',
      'an API token over HTTP: shown once, listed without its text, revoked by its user or an owner',
    ],
    [at.identity, 'the app role can ask about a session and nothing else'],
    [at.context, 'the app role reaches its schema and nothing of the platform'],
  ),
  partly(
    'V8.2.4',
    'At the sign-in, network and browser count (identity.md); a session is not judged by where it is used from.',
    [at.attempts, 'an attacker on many networks slows strangers down, and never the user in a browser that is known'],
  ),
  met(
    'V8.3.1',
    'Gateway, features and the roles of PostgreSQL decide; pages only leave out what would be refused.',
    [at.users, 'who may change whom'],
    [at.routes, 'every route says who may call it; signed out, other roles and the other tenant’s people are refused'],
  ),
  met(
    'V8.3.2',
    'Role, state, policy and sessions are read by each request, at every worker; what was presumed is refused by the answer; acts read the role again in their own transaction.',
    [
      at.users,
      'disabling and another role count for the very next request, in this tenant only',
      'a right that was taken away between the door and the act is gone',
    ],
    [at.factorPolicy, 'who must have a second factor is said by the very next request at every worker'],
    [at.apiTokens, 'after the answer to a revocation no request succeeds, however many are under way'],
  ),
  met(
    'V8.3.3',
    "An app has no way into the database but the lease of the request's own tenant, and its context carries the user of the request; an API token acts with the role of its user.",
    [at.context, 'a context belongs to the tenant and user of its request'],
    [at.apiTokens, 'a token acts as its user, with the role of the moment, at its own tenant only'],
    [at.databases, 'a tenant role reaches no other database and no other tenant'],
  ),
  met(
    'V8.4.1',
    "Two tenants with the same users and ids on a running product: every route with the other's session, and dozens of leaks planted on purpose, each of which the suite catches.",
    [at.isolation, 'one tenant reaches nothing of another'],
    ['test/isolation/planted-leaks.test.ts', 'every planted leak is caught'],
  ),
  partly(
    'V8.4.2',
    'The console has a listener of its own, names of its own, a strict cookie, a short session that is read on each request, a second factor, and a step-up before dangerous acts; the posture of devices and risk are not looked at.',
    [at.http, 'the console answers to its own names only'],
    [
      at.staff,
      'a session locks after 30 minutes without use; polling is no use; it ends after 12 hours and with its member',
    ],
    [at.consoleApi, 'what is dangerous asks the member again who they are, and the rest does not'],
  ),
];
