import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '#src/kernel/index.ts';
import type { LogoutMessage } from '../saml/index.ts';
import { cookieHeaderOf } from '../two-tenants.fixture.ts';
import { SamlProvider } from './saml-provider.fixture.ts';
import { originOf, SignOnWorld } from './sign-on-world.fixture.ts';

/** The whole way with Lasso (Debian's python3-lasso): signing in, and signing out from either side. The launcher installs it for `./freehold test`. */

const program = fileURLToPath(new URL('../../../test/support/lasso_session.py', import.meta.url));

test('Lasso signs out here by redirect and by form, and takes our request and our answers', {
  timeout: 120_000,
}, async (t) => {
  const world = await SignOnWorld.start();
  t.after(() => world.stop());
  const idp = await SamlProvider.start();
  const { identity, a } = world.two;
  const origin = originOf(a);
  const connectionId = await world.connect({
    saml: { metadataXml: idp.metadata(), nameIdFormat: 'email' },
    trustsEmails: true,
  });

  const child = spawn('/usr/bin/python3', [program], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const tell = (what: object) => child.stdin.write(`${JSON.stringify(what)}\n`);
  const ask = async (what: object): Promise<Record<string, string>> => {
    tell(what);
    const { value, done } = await lines.next();
    assert.ok(!done, 'Lasso is missing: apt-get install python3-lasso');
    const answer = JSON.parse(value) as Record<string, string>;
    assert.equal(answer.error, undefined);
    return answer;
  };
  const spMetadata = await identity.getSamlMetadata(a.tenantId, origin, connectionId);
  tell({
    idpMetadata: idp.metadata(),
    key: idp.signer.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    certificate: idp.signer.certificate,
    spEntityId: `${origin}/-/api/sign-on/saml/metadata`,
    spMetadata,
  });

  const queryOf = (url: string) => url.slice(url.indexOf('?') + 1);
  /** Lasso's times have no fractions. */
  const inMs = (ms: number) => `${new Date(systemClock.now() + ms).toISOString().slice(0, 19)}Z`;
  const enter = async (sessionIndex: string) => {
    const { url, cookie } = await world.begin(connectionId);
    const { field } = await ask({
      do: 'signIn',
      query: queryOf(url),
      nameId: 'lasso@people.example',
      sessionIndex,
      now: inMs(0),
      notBefore: inMs(-60_000),
      notOnOrAfter: inMs(600_000),
    });
    const relayState = new URL(url).searchParams.get('RelayState')!;
    const outcome = await identity.finishSaml(
      a.tenantId,
      origin,
      { samlResponse: field!, relayState },
      { cookieHeader: cookie, address: '192.0.2.1', userAgent: 'test' },
    );
    assert.ok(outcome.tested === undefined && outcome.entered.session);
    return outcome.entered;
  };
  const isIn = async ({ setCookies }: { setCookies: readonly string[] }) =>
    (await identity.authenticate(a.tenantId, cookieHeaderOf(setCookies))) !== undefined;
  const sloUrl = `${origin}/-/sign-on/saml/log-out/${connectionId}`;

  const stays = await enter('_lasso-0');
  for (const binding of ['REDIRECT', 'POST']) {
    const session = await enter(`_lasso-${binding}`);
    const { url, field } = await ask({ do: 'signOut', binding, relayState: 'état & <x>' });
    assert.ok(url?.startsWith(sloUrl));
    const received: LogoutMessage =
      binding === 'POST'
        ? { binding: 'post', message: field!, relayState: 'état & <x>' }
        : { binding: 'redirect', rawQuery: queryOf(url ?? '') };
    const answered = await identity.endFromProvider(a.tenantId, origin, connectionId, received, {});
    assert.deepEqual([await isIn(session), await isIn(stays)], [false, true], binding);
    assert.deepEqual(await ask({ do: 'takeAnswer', query: queryOf(answered ?? '') }), {
      status: 'urn:oasis:names:tc:SAML:2.0:status:Success',
      relayState: 'état & <x>',
    });
  }

  const session = await enter('_lasso-ours');
  const actor = { session: session.session!, address: '192.0.2.1' };
  const caller = { cookieHeader: cookieHeaderOf(session.setCookies), address: '192.0.2.1' };
  const left = await identity.leave(a.tenantId, origin, actor, caller);
  assert.equal(await isIn(session), false);
  const taken = await ask({ do: 'takeRequest', query: queryOf(left.next) });
  assert.deepEqual([taken.sessionIndex, taken.nameId], ['_lasso-ours', 'lasso@people.example']);
  assert.ok(taken.url!.startsWith(`${sloUrl}?SAMLResponse=`));
  assert.deepEqual(
    await identity.finishLeaving(
      a.tenantId,
      origin,
      connectionId,
      { binding: 'redirect', rawQuery: queryOf(taken.url!) },
      { cookieHeader: cookieHeaderOf(left.setCookies) },
    ),
    { organisation: 'The works', succeeded: true },
  );
  assert.equal(await isIn(stays), true);
});
