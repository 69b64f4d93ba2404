import * as at from './places.ts';
import { type AsvsRow, met, metBy, notApplicable, partly } from './types.ts';

const noTelephone = 'No code goes by telephone, SMS or push message.';

export const authentication: readonly AsvsRow[] = [
  metBy(
    'review',
    'V6.1.1',
    'Decision 0005 and identity.md: what is counted, how waits grow, and why nobody can lock out a user in a browser that the user has used. There is nothing to configure.',
    [at.attempts, 'an attacker on many networks slows strangers down, and never the user in a browser that is known'],
  ),
  metBy(
    'review',
    'V6.1.2',
    'identity.md, "Passwords": the user\'s name and address, name and title of the tenant, freehold, password, and a list of phrases.',
  ),
  metBy(
    'review',
    'V6.1.3',
    'identity.md, "Ways in": what each shows, whether it begins a session, and what bounds it.',
  ),
  met('V6.2.1', 'Fifteen characters, for users and staff.', [
    at.passwordRules,
    'bad passwords are refused, each by its rule and with a way to mend it',
  ]),
  partly(
    'V6.2.2',
    'Users do so on their account page. Staff get a new password by a link that the command line prints; the console has no page for it.',
    [at.identity, 'password change needs the current one, ends every other session and starts a new one'],
    [at.staff, 'only a link for an address gives its member a new password'],
  ),
  met('V6.2.3', 'Both, and wrong ones are limited.', [
    at.identity,
    'password change needs the current one, ends every other session and starts a new one',
    'a stolen session cannot be used to guess the password',
  ]),
  met(
    'V6.2.4',
    'Some fifty thousand common ones are built in, with and without what people put around them, and phrases of fifteen characters and more.',
    [at.passwordRules, 'every entry of the lists that is long enough is refused, bare and with the usual padding'],
  ),
  met('V6.2.5', 'No rules of composition.', [
    at.passwordRules,
    'good passwords are accepted, whatever they are composed of',
  ]),
  metBy(
    'review',
    'V6.2.6',
    "Every password field is Mantine's PasswordInput: type=password, with a button that shows the whole.",
  ),
  metBy(
    'review',
    'V6.2.7',
    'Nothing stops pasting, and fields say username, current-password, new-password and one-time-code to managers.',
    [at.passwordRules, 'random passwords of a manager are always accepted'],
  ),
  met(
    'V6.2.8',
    'Whole and in its case; Unicode is normalised (NFKC), as NIST SP 800-63B-4 asks, and too long ones are refused, never cut.',
    [at.passwordHash, 'normalising bounds the length before and after'],
    [at.passwordRules, 'what is hashed is normalised'],
  ),
  met(
    'V6.2.9',
    'Up to 1,024 bytes.',
    [at.passwordHash, 'normalising bounds the length before and after'],
    [at.passwordRules, 'good passwords are accepted, whatever they are composed of'],
  ),
  metBy('design', 'V6.2.10', 'Passwords have no age: nothing notes when one was set.'),
  met('V6.2.11', 'What is mostly made of these words is refused, also with digits and signs in the place of letters.', [
    at.passwordRules,
    'bad passwords are refused, each by its rule and with a way to mend it',
    'a context of any content breaks nothing',
  ]),
  partly(
    'V6.2.12',
    'With FREEHOLD_BREACHED_PASSWORDS every new password is compared with that list, and while it cannot be read none is taken; without the setting only the common ones that are built in are refused.',
    [
      at.breached,
      'every password of the list is found, and no other',
      'a list that cannot be relied on lets no password pass',
    ],
    [at.badInput, 'a password that is known from a breach; and while the list is away no new one at all'],
  ),
  met(
    'V6.3.1',
    'As documented: by account and network, account, network and tenant, shared by all workers.',
    [
      at.attempts,
      'after five wrong passwords from one network the wait doubles; the right one in time forgets them',
      'attempts side by side, on several workers, share the free ones',
      'after fifty wrong passwords in a row no stranger gets in, with the same answer; a known browser and an administrator help',
    ],
    [at.staff, 'wrong passwords are slowed down'],
  ),
  met(
    'V6.3.2',
    'There are none: the first member of staff and the first administrator of a tenant come by links that work once. Demo users exist with `--demo` only, with random passwords.',
    [at.staff, 'the set-up link makes the first member, once'],
    [at.users, 'the first administrator: the newest link is good, and its user is owner'],
  ),
  partly(
    'V6.3.3',
    'Staff show a second factor from their first sign-in, and a passkey is two. An owner may ask a second factor of administrators or of everybody; unless they do, a password is enough for users.',
    [
      at.staffFactors,
      'without a second factor a session is good for setting one up; then every other session ends',
      'signing in takes two steps; a code is good once, in one browser of a hundred',
    ],
    [at.factorPolicy, 'who must have a second factor is said by the very next request at every worker'],
    [at.secondStep, 'signing in takes two steps: no session after the password, one after the code, and nothing twice'],
  ),
  met(
    'V6.3.4',
    'The ways in are those of identity.md; each of them that begins a session asks for the second factor of who has one, and a link by mail begins none.',
    [at.reset, 'a link by mail sets a new password once, ends every session, signs nobody in and tells the user'],
    [at.routes, 'every route says who may call it; signed out, other roles and the other tenant’s people are refused'],
    [
      at.factors,
      'whoever has a second factor shows it for whatever a session is not enough for, and each code is good for one act',
    ],
  ),
  partly(
    'V6.3.5',
    'Users are told by mail of a sign-in in a new browser, of tries at the second factor after a right password, and of copied sessions; staff are told of nothing.',
    [
      at.reset,
      'users are told of a changed password and of a browser that is new; invitations are mailed',
      'the user is told by mail when a session ends because an old key of it came back',
    ],
    [
      at.secondStep,
      'whoever has the password gets few codes; the user goes on in a known browser, and nobody else counts',
    ],
  ),
  partly(
    'V6.3.6',
    'Mail alone signs nobody in where somebody has a second factor; where nobody has one, a link by mail gives a new password, with which one signs in.',
    [at.reset, 'a link by mail sets a new password once, ends every session, signs nobody in and tells the user'],
  ),
  partly(
    'V6.3.7',
    'Passwords, second factors, passkeys, recovery codes and API tokens: each change is told by mail. An address that the directory of the account changes (SCIM) is not told to its user.',
    [at.reset, 'users are told of a changed password and of a browser that is new; invitations are mailed'],
    [at.factors, 'recovery codes: each once, told, counted; new ones make the old worthless'],
    [at.apiTokens, 'making one takes the password, again; the user is told by mail and in the security log'],
  ),
  met(
    'V6.3.8',
    'One answer by one way, with the same statements and hashes, at every door where somebody names a user; nobody registers by themselves. `bench/timing.ts` measures it.',
    ['src/identity/equal-work.test.ts', 'take the same statements and the same hashes, and get the same answer'],
    ['src/identity/equal-time.test.ts', 'a statement more for one of the two is seen'],
    [
      at.attempts,
      'an unknown address takes as long as a known one',
      'an unknown address is throttled exactly like a known one',
    ],
    [at.identity, 'unknown address, wrong password, disabled user: one answer, one trail'],
    [at.reset, 'asking does the same work whether the address is known, unknown or disabled, and says the same'],
  ),
  met(
    'V6.4.1',
    'There are no initial passwords: an invitation and a set-up link are 256 random bits, good once, for seven days or one, and whoever uses one chooses a password by the rules.',
    [
      at.users,
      'an invitation becomes one user, whoever presents it at the same time',
      'a second invitation replaces the first; withdrawn, old and malformed ones answer alike',
    ],
    [at.staff, 'a new link replaces the old; old, expired and malformed ones answer alike'],
  ),
  metBy('design', 'V6.4.2', 'There are none.'),
  met(
    'V6.4.3',
    'A link by mail, good once for fifteen minutes, from a fixed origin; it signs nobody in and leaves second factors as they are.',
    [
      at.reset,
      'a link by mail sets a new password once, ends every session, signs nobody in and tells the user',
      'a link ends after 15 minutes, and when anything about the user changes',
    ],
    [
      at.secondStep,
      'after too many wrong codes no code is right from strange browsers, until the password is chosen anew',
    ],
  ),
  metBy(
    'review',
    'V6.4.4',
    'Who has lost app and recovery codes is let in by an administrator, who invited them in the first place; owners by another owner. It is told by mail and in the security log (identity.md).',
    [at.factors, 'an administrator resets the factor of a member, an owner that of an owner, nobody their own'],
  ),
  partly('V6.4.5', 'API tokens are what expires, and their list says when; nobody is reminded by mail.'),
  met(
    'V6.4.6',
    'Administrators invite, disable and reset second factors; no route sets the password of another, and links for a new one go to the user only.',
    [at.routes, 'every route says who may call it; signed out, other roles and the other tenant’s people are refused'],
    [at.staff, 'only a link for an address gives its member a new password'],
  ),
  met(
    'V6.5.1',
    'Each code and each recovery code is used up by one statement.',
    [
      at.secondStep,
      'one code, a hundred tries at once at two workers: exactly one session',
      'each statement that uses something up succeeds once in a hundred',
    ],
    [at.totp, 'a code is good for its own step and one on either side, and never for a step that is over'],
    [at.factors, 'recovery codes: each once, told, counted; new ones make the old worthless'],
    [at.staffFactors, 'one code confirms once, of a hundred at a time', 'recovery codes are good once each'],
    [at.passkeys, 'one assertion, a hundred tries at once at two workers: exactly one session'],
  ),
  met('V6.5.2', 'Recovery codes have 120 random bits and are kept as SHA-256, bound to the user.', [
    at.factors,
    'what was begun is over after 15 minutes, and what is stored tells no secret and no code',
  ]),
  metBy('design', 'V6.5.3', "Secrets, codes and links are bytes of the system's generator, which alone is allowed.", [
    at.structure,
    'the tree follows docs/architecture.md',
  ]),
  metBy('design', 'V6.5.4', 'Recovery codes have 120 bits, links 256.'),
  partly(
    'V6.5.5',
    'A code of an app is one of 30 seconds, and is taken for one step on either side, so for 90 seconds at most; links for a new password are good for fifteen minutes.',
    [at.totp, 'a code is good for its own step and one on either side, and never for a step that is over'],
    [at.reset, 'a link ends after 15 minutes, and when anything about the user changes'],
  ),
  met('V6.5.6', 'By their user, with password and code; by an administrator; sessions and tokens one by one.', [
    at.factors,
    'turning it off takes password and code; what was refused is recorded and limited',
    'an administrator resets the factor of a member, an owner that of an owner, nobody their own',
  ]),
  metBy(
    'design',
    'V6.5.7',
    'A finger or a face only unlocks a passkey on the device that holds it; the server sees a signature and that its user was verified.',
    [at.passkeys, 'every answer that is not what was asked for is refused, at every door, and uses up its challenge'],
  ),
  met(
    'V6.5.8',
    'The clock of the database server counts.',
    [at.totp, 'a code is good for its own step and one on either side, and never for a step that is over'],
    ['test/faults/clock.test.ts', 'the server is set back after it was ahead: nobody is locked out until then'],
  ),
  notApplicable('V6.6.1', noTelephone),
  met(
    'V6.6.2',
    'The second step is bound to the challenge of its sign-in, in its browser; a link for a new password to its user as they were.',
    [at.secondStep, 'a challenge is good in its browser, at its tenant, and nowhere else'],
    [at.reset, 'a link ends after 15 minutes, and when anything about the user changes'],
  ),
  met(
    'V6.6.3',
    'Links have 256 bits; codes of apps have a limit per challenge and per user.',
    [
      at.secondStep,
      'whoever has the password gets few codes; the user goes on in a known browser, and nobody else counts',
    ],
    [at.reset, 'whoever keeps asking in somebody’s name fills no mailbox, and keeps nobody from a link that is good'],
  ),
  notApplicable('V6.6.4', noTelephone),
  met(
    'V6.7.1',
    'Public keys of passkeys lie in the schema of the platform, which the role of the app cannot reach.',
    [at.identity, 'the app role can ask about a session and nothing else'],
    [at.context, 'the app role reaches its schema and nothing of the platform'],
  ),
  met('V6.7.2', '256 random bits, for one purpose, browser, tenant and use.', [
    at.passkeys,
    'what is asked of an authenticator names the tenant’s host and nobody; the challenge is stored as a hash',
    'a challenge is for one purpose, one browser, one tenant, one use and five minutes',
  ]),
  met(
    'V6.8.1',
    "A person is the pair of connection and subject, in the tenant's own database; a connection speaks for addresses of domains only that were proven for it.",
    [
      at.oidc,
      'links a user who is there already, once, and refuses whoever is given that address later',
      'takes an address neither unverified, nor unsaid, nor of a domain that is not proven (121)',
      'is not possible over a connection that is off, unknown, or of the other tenant',
    ],
  ),
  met(
    'V6.8.2',
    'Always: ID tokens although they come over TLS; in SAML only bytes under a verified signature are read.',
    [at.oidcForgeries, 'an ID token that is not what it has to be lets nobody in'],
    [at.samlCatalogue, 'every document of the catalogue is refused, for its own reason'],
  ),
  met(
    'V6.8.3',
    'Issuer and ID of an assertion are used up, with the request, in the transaction that begins the session, and remembered until it is no longer valid.',
    [
      'src/identity/sso/saml-flow.test.ts',
      'is good once, whatever wraps the assertion, after a restart and at another node (100, 102, 103)',
      'makes one session of 1,000 posts at once at four nodes (101)',
    ],
  ),
  met(
    'V6.8.4',
    'A second factor that a provider asked for counts where it says so in known words (acr, amr), or where an owner trusts it; if nothing is said, one factor is assumed, and our own second step follows (identity.md).',
    [at.oidcForgeries, 'a second factor counts only where the provider says so in words that mean one'],
    [
      'src/identity/sso/sign-on-policy.test.ts',
      'asks for the second factor here unless the provider is trusted to have asked for one (124)',
    ],
  ),
];
