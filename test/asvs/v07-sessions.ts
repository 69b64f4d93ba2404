import * as at from './places.ts';
import { type AsvsRow, met, metBy, partly } from './types.ts';

export const sessions: readonly AsvsRow[] = [
  metBy(
    'review',
    'V7.1.1',
    'identity.md, "Sessions", has the times and says where they differ from NIST SP 800-63B-4, and why.',
  ),
  metBy('review', 'V7.1.2', 'identity.md, "Sessions": fifty per user; the longest unused gives way to a new one.'),
  metBy(
    'review',
    'V7.1.3',
    'identity.md, "Sessions": what a session that began at a provider has to do with the one there.',
  ),
  met(
    'V7.2.1',
    "The key in the cookie is looked up in the tenant's own database on every request; what is presumed for speed is confirmed by the database before anything is answered.",
    [at.identity, 'a session is good in its tenant and nowhere else'],
    [at.presumedRequests, 'a presumed session is what the check confirms, or refused as if it had been checked first'],
  ),
  met(
    'V7.2.2',
    'Keys of sessions are random, made at each sign-in, and replaced while in use.',
    [
      at.rotation,
      'the key is replaced once by many at the same time, and every loser is given the very same successor',
    ],
    [at.identity, 'a new sign-in in the same browser ends the session it replaces'],
  ),
  met(
    'V7.2.3',
    "256 bits of the system's generator, stored as SHA-256; successors are derived from one and a key that the tables do not hold.",
    [at.identity, 'the token is stored as a hash only'],
    [at.rotation, 'neither the tables nor the key of the tenant make a successor of their own'],
    [at.structure, 'the tree follows docs/architecture.md'],
  ),
  met(
    'V7.2.4',
    'A sign-in, a new password and a second factor that was set up begin a new session; the one that the browser held ends.',
    [
      at.identity,
      'a new sign-in in the same browser ends the session it replaces',
      'password change needs the current one, ends every other session and starts a new one',
    ],
    [at.secondStep, 'signing in takes two steps: no session after the password, one after the code, and nothing twice'],
  ),
  met(
    'V7.3.1',
    'One day for users, thirty minutes for staff; polling by a page of the console is no use.',
    [at.identity, 'a session ends when idle, when old, and when the epoch moves'],
    [
      at.staff,
      'a session locks after 30 minutes without use; polling is no use; it ends after 12 hours and with its member',
    ],
  ),
  met(
    'V7.3.2',
    'Fourteen days for users, twelve hours for staff.',
    [at.identity, 'a session ends when idle, when old, and when the epoch moves'],
    [
      at.staff,
      'a session locks after 30 minutes without use; polling is no use; it ends after 12 hours and with its member',
    ],
  ),
  met(
    'V7.4.1',
    'Ending a session removes its row, so the very next request at every worker is refused, with whatever key of it; streams end too.',
    [at.rotation, 'what ends a session ends it for the very next request at every worker, whatever key it comes with'],
    [at.identity, 'sign-out ends this session, sign-out everywhere ends all, in this tenant only'],
    [at.hosting, 'who signs out hears no more'],
  ),
  met(
    'V7.4.2',
    'Disabling a user ends the sessions and revokes the API tokens in the same transaction; users are not deleted one by one.',
    [at.users, 'disabling and another role count for the very next request, in this tenant only'],
    [at.scim, 'disabling ends sessions and tokens for the very next request'],
    [at.staff, 'sign-in, sign-out; unknown and disabled members answer alike'],
  ),
  met(
    'V7.4.3',
    'They end without being asked for: with a new password, by mail or not, and when a second factor is set up, turned off or reset.',
    [at.identity, 'password change needs the current one, ends every other session and starts a new one'],
    [at.reset, 'a link by mail sets a new password once, ends every session, signs nobody in and tells the user'],
    [
      at.factors,
      'setting up: after the password, and it counts after a first right code; everybody else is signed out',
    ],
  ),
  metBy('review', 'V7.4.4', 'The menu in the corner of every page of app, account and console has Sign out.', [
    at.pages,
    'the way in by keyboard alone, with the focus in sight at every stop',
  ]),
  met(
    'V7.4.5',
    'An administrator ends all sessions of a user by disabling them (and may enable them again), by another role, or by removing the second factor; the operator ends those of a tenant by suspending it.',
    [at.users, 'disabling and another role count for the very next request, in this tenant only'],
    [at.factors, 'an administrator resets the factor of a member, an owner that of an owner, nobody their own'],
    [at.lifecycle, 'suspend closes the door in the server itself, resume opens it'],
  ),
  met(
    'V7.5.1',
    'A new password takes the current one; setting up, turning off and renewing factors takes the password, and the code of who has one. An e-mail address is changed by nobody but the directory of the account (SCIM), which ends the sessions of the user.',
    [at.identity, 'password change needs the current one, ends every other session and starts a new one'],
    [
      at.factors,
      'setting up: after the password, and it counts after a first right code; everybody else is signed out',
      'turning it off takes password and code; what was refused is recorded and limited',
    ],
    [
      at.passkeys,
      'a first passkey: recovery codes, everybody else signed out, told, listed; another one brings no new codes',
    ],
    [at.scim, 'another address ends sessions, and links that were sent to the old one open nothing'],
  ),
  partly('V7.5.2', 'Users see and end every session of theirs; ending one does not ask for the password again.', [
    at.identity,
    'users list and revoke their own sessions, and no others',
  ]),
  met(
    'V7.5.3',
    'Downloading a backup, making a token, changing factors, single sign-on and the policy ask users for password and code again; dangerous acts of the console ask staff, besides the name of the tenant.',
    [
      at.factors,
      'whoever has a second factor shows it for whatever a session is not enough for, and each code is good for one act',
    ],
    [
      at.tenantBackups,
      'members, admins, a wrong password, a late, used, foreign or made-up confirmation: refused, and every refusal is in the log',
    ],
    [
      at.staffFactors,
      'step-up: password and code, or a code where the password was shown just now; for five minutes, in this browser',
    ],
    [
      at.consoleApi,
      'what is dangerous asks the member again who they are, and the rest does not',
      'what cannot be taken back needs the name, and a wrong name stops anything',
    ],
  ),
  metBy(
    'design',
    'V7.6.1',
    'As identity.md says: a session that began at a provider is begun by the same function as every other and ends with the same times, and then the provider is asked again.',
    [at.identity, 'a session ends when idle, when old, and when the epoch moves'],
  ),
  met(
    'V7.6.2',
    'A session begins with a password, a code after it, or an invitation accepted with a new password; a request that another site starts begins none.',
    [at.identity, 'a new sign-in in the same browser ends the session it replaces'],
    [at.http, 'what another site makes a browser send is refused'],
  ),
];
