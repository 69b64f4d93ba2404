/**
 * Every door of identity at which a stranger could ask "is there such a …?", each as a pair of acts that must not be told apart: one for what exists, one for what does not.
 * `equal-work.test.ts` compares what they do, `bench/timing.ts` how long they take.
 */
import type { TenantDatabases } from '#src/databases/types.ts';
import { newId, silentLog } from '#src/kernel/index.ts';
import { createIdentity, type Identity } from './identity.ts';
import { createBrowserCookies } from './sessions/browser.ts';
import { hashToken, newToken } from './sessions/cookie.ts';
import { cookieHeaderOf, createTwins, type TwoTenants } from './two-tenants.fixture.ts';

export interface Door {
  readonly name: string;
  /** Resolves to what a stranger is told. `turn` counts the calls, so that no limit is met and no two unknown names are the same. */
  act(kind: 'known' | 'unknown', turn: number): Promise<string>;
}

export interface Doors {
  readonly doors: readonly Door[];
  /** Waits for what goes on behind answers, and forgets all failures, so that the next act begins as the first did. */
  reset(): Promise<void>;
}

const people = 20;

export async function createDoors(two: TwoTenants, databases: TenantDatabases = two.databases): Promise<Doors> {
  const { tenantId, cookieKey, factorsKey } = two.a;
  const identity: Identity = createIdentity({
    databases,
    cookieKeyOf: () => cookieKey,
    factorsKeyOf: () => factorsKey,
    log: silentLog,
  });
  const sql = (text: string, values?: readonly unknown[]) =>
    two.databases.platform.transact(tenantId, (db) => db.query(text, values as unknown[]));
  const emails: string[] = [];
  for (let index = 0; index < people; index++) {
    emails.push(`person${index}@doors.example`);
    await createTwins(two, emails.at(-1)!);
  }
  const disabled = 'disabled@doors.example';
  await createTwins(two, disabled);
  await sql("UPDATE freehold.users SET state = 'disabled' WHERE email = $1", [disabled]);
  // What exists and is good no more: to a stranger the same as what never was.
  const expired = newToken();
  const tokenHash = hashToken(expired);
  await sql(
    `INSERT INTO freehold.invitations (invitation_id, email, email_key, role, token_hash, invited_by, expires_at)
     VALUES ($1, 'expired@doors.example', 'expired@doors.example', 'member', $2, 'system', now() - interval '1 hour')`,
    [newId('inv'), tokenHash],
  );
  await sql(
    `INSERT INTO freehold.password_resets (token_hash, user_id, user_epoch, known_device, created_at, expires_at)
     SELECT $1, user_id, 1, false, now() - interval '30 minutes', now() - interval '15 minutes'
     FROM freehold.users WHERE email = $2`,
    [tokenHash, emails[0]],
  );
  await sql(
    `INSERT INTO freehold.api_tokens (token_id, token_hash, user_id, name, scope, created_at, expires_at)
     SELECT $1, $2, user_id, 'expired', 'read', now() - interval '2 days', now() - interval '1 day'
     FROM freehold.users WHERE email = $3`,
    [newId('tok'), tokenHash, emails[0]],
  );

  await sql(
    `INSERT INTO freehold.sign_in_challenges (token_hash, user_id, user_epoch, known_device, expires_at)
     SELECT $1, user_id, 1, false, now() - interval '1 minute' FROM freehold.users WHERE email = $2`,
    [tokenHash, emails[0]],
  );
  await sql(
    `INSERT INTO freehold.scim_tokens (token_id, token_hash, name, created_by, by_owner, created_at, expires_at)
     VALUES ($1, $2, 'expired', 'system', true, now() - interval '2 days', now() - interval '1 day')`,
    [newId('sct'), tokenHash],
  );
  // The people of a connection that is on; people and nobodies of it get the same one.
  const connectionId = newId('con');
  await sql(
    `INSERT INTO freehold.sign_on_connections (connection_id, kind, name, state, settings) VALUES ($1, 'oidc', 'The works', 'on', '{}')`,
    [connectionId],
  );
  await sql(
    `INSERT INTO freehold.sign_on_domains (domain, connection_id, token, proven_at) VALUES ('works.example', $1, $2, now())`,
    [connectionId, 'x'.repeat(32)],
  );
  const workers: string[] = [];
  for (let index = 0; index < 5; index++) {
    workers.push(`person${index}@works.example`);
    await createTwins(two, workers.at(-1)!);
  }
  const strangers = workers.map((email) => email.replace('person', 'nobody'));
  const cookies = createBrowserCookies(() => cookieKey);
  const challengeOf = async (kind: string) => {
    const setCookie = await cookies.setChallenge(tenantId, tokenOf(kind));
    return cookieHeaderOf([setCookie]);
  };

  const told = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      (value) => JSON.stringify(value) ?? 'nothing',
      (error: { code?: string }) => error.code ?? String(error),
    );
  // Of one length, and from a network of its own each.
  const nobodies = emails.map((email) => email.replace('person', 'nobody'));
  const emailOf = (kind: string, turn: number) => (kind === 'known' ? emails : nobodies)[turn % people]!;
  const callerOf = (turn: number) => ({ address: `10.${(turn >> 8) & 255}.${turn & 255}.1` });
  const tokenOf = (kind: string) => {
    // Made for both: it takes time.
    const token = newToken();
    return kind === 'known' ? expired : token;
  };
  const doors: Door[] = [
    {
      name: 'sign-in',
      act: (kind, turn) =>
        told(identity.signIn(tenantId, { email: emailOf(kind, turn), password: 'a wrong guess' }, callerOf(turn))),
    },
    {
      name: 'sign-in, disabled user',
      act: (kind, turn) =>
        told(
          identity.signIn(
            tenantId,
            { email: kind === 'known' ? disabled : 'isnobody@doors.example', password: 'a wrong guess' },
            callerOf(turn),
          ),
        ),
    },
    {
      name: 'reset request',
      act: (kind, turn) => told(identity.requestReset(tenantId, emailOf(kind, turn), callerOf(turn))),
    },
    {
      name: 'invitation token',
      act: (kind) => told(identity.getInvitation(tenantId, tokenOf(kind).toString('base64url'))),
    },
    {
      name: 'reset token',
      act: (kind) => told(identity.getReset(tenantId, tokenOf(kind).toString('base64url'))),
    },
    {
      name: 'API token',
      act: (kind, turn) => told(identity.checkApiToken(tenantId, hashToken(tokenOf(kind)), callerOf(turn))),
    },
    {
      name: 'discovery of single sign-on',
      act: (kind, turn) => told(identity.discoverSignOn(tenantId, emailOf(kind, turn))),
    },
    {
      name: 'discovery, domain of a connection',
      act: (kind, turn) => {
        const emails = kind === 'known' ? workers : strangers;
        return told(identity.discoverSignOn(tenantId, emails[turn % emails.length]!));
      },
    },
    {
      name: 'second step',
      act: async (kind, turn) =>
        told(
          identity.completeSignIn(
            tenantId,
            { code: '123456' },
            { ...callerOf(turn), cookieHeader: await challengeOf(kind) },
          ),
        ),
    },
    {
      name: 'second step by passkey',
      act: async (kind, turn) => {
        const caller = { ...callerOf(turn), cookieHeader: await challengeOf(kind) };
        const { host: id, title } = two.a.route;
        const party = { id, title, origin: `https://${id}` };
        return told(identity.askSecondStepPasskey(tenantId, party, caller));
      },
    },
    {
      name: 'SCIM token',
      act: (kind, turn) => told(identity.checkScimToken(tenantId, hashToken(tokenOf(kind)), callerOf(turn))),
    },
  ];
  return {
    doors,
    async reset() {
      await identity.settle();
      await sql('DELETE FROM freehold.sign_in_failures');
      await sql('DELETE FROM freehold.password_resets WHERE expires_at > now()');
    },
  };
}
