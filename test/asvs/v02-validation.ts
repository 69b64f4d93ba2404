import * as at from './places.ts';
import { type AsvsRow, met, metBy, notMet, partly } from './types.ts';

export const validation: readonly AsvsRow[] = [
  metBy(
    'review',
    'V2.1.1',
    'security.md, "What is taken in", says it for each kind of data; the OpenAPI documents of platform and app say it for each field.',
  ),
  metBy('review', 'V2.1.2', 'security.md, "What is taken in", names the combinations that are checked together.'),
  metBy('review', 'V2.1.3', 'security.md, "Limits", lists them by address, user, tenant and installation.'),
  met(
    'V2.2.1',
    'Every body, query and path parameter has a schema, and a field that it does not know is refused; bounds that need words are in the use case.',
    [at.consoleApi, 'every body and query is refused unless each field is known'],
    [at.routes, 'bad bodies are refused and change nothing'],
    [at.hosting, 'what does not match its schema is refused and named'],
    [at.deskItems, 'bad input is refused with a reason and changes nothing'],
  ),
  met(
    'V2.2.2',
    'Pages check for convenience; the routes check again, and the tests send what no page would.',
    [at.badInput, 'JSON that is none, or not what is asked for', 'query values that make no sense'],
    [at.routes, 'bad bodies are refused and change nothing'],
  ),
  met(
    'V2.2.3',
    'What belongs together is judged together: password with name, address and tenant, one change of a user at a time, mapping with columns, moment with what can be restored.',
    [at.passwordRules, 'bad passwords are refused, each by its rule and with a way to mend it'],
    [at.deskImport, 'a mapping that makes no sense is refused with everything that is wrong'],
    ['src/tenants/restore.test.ts', 'a moment is checked before anything begins'],
  ),
  met(
    'V2.3.1',
    'States change by one table of transitions; the second step of a sign-in needs the challenge of the first, in the same browser; a set-up counts after a first right code.',
    ['src/tenants/transitions.test.ts', 'every operation in every state begins exactly where the table allows it'],
    [at.secondStep, 'signing in takes two steps: no session after the password, one after the code, and nothing twice'],
    [
      at.factors,
      'setting up: after the password, and it counts after a first right code; everybody else is signed out',
    ],
  ),
  met(
    'V2.3.2',
    'Limits of security.md are enforced where the act is made, in its transaction.',
    [at.apiTokens, 'twenty are good at a time, also when several are made at once; expired ones do not count'],
    [at.outbox, 'one tenant cannot order more than 500 messages an hour, and another is not held up by it'],
    [at.users, 'the last active owner stays, also when two owners remove each other at once'],
  ),
  met(
    'V2.3.3',
    'An act and its record are one transaction; acts of several steps are recorded, finished or taken back, also when the process is killed between any two.',
    [at.audit, 'an event is there if and only if the act was committed'],
    [at.context, 'what fails is rolled back; a refusal of the app becomes a problem document'],
    ['src/tenants/kill.test.ts', `\${kind}: killed anywhere, it is finished by the successor`],
  ),
  met(
    'V2.3.4',
    'What there is once is used up by one statement or under a lock: links, codes, names, numbers of items.',
    [at.secondStep, 'each statement that uses something up succeeds once in a hundred'],
    [at.reset, 'of 100 who present a link at once, exactly one sets the password'],
    [at.lifecycle, 'of two creates with one name exactly one succeeds, and the other leaves nothing'],
    [at.deskItems, 'of ten changes of the same version one wins'],
  ),
  notMet(
    'V2.3.5',
    'Nothing needs two people: one owner may download a backup, one member of staff may delete a tenant.',
  ),
  met(
    'V2.4.1',
    'Requests are limited by address and by tenant, wrong passwords, codes and tokens by account, network and tenant, mail by tenant, and one tenant cannot take all connections.',
    [
      at.limits,
      'too many requests of one address or one tenant are told when to come back',
      'one address does not take all places of the strangers',
    ],
    [
      at.bearer,
      'an address has a few tries a minute, also all at once; others, and tokens that were good, are not slowed down',
    ],
    [at.leases, 'one tenant cannot take all connections; who waits too long is told to come back'],
    [at.routes, 'the password hint answers without a session, and not endlessly'],
  ),
  partly(
    'V2.4.2',
    'Sign-ins that fail are slowed down to human timing and beyond; nothing else asks how fast a person could be.',
    [at.attempts, 'after five wrong passwords from one network the wait doubles; the right one in time forgets them'],
  ),
];
