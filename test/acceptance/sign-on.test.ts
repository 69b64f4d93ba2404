/** Single sign-on from the first click of an owner to the first click of a colleague: a real provider, a real name server, a real browser. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { findSeriousViolations } from './axe.ts';
import { Freehold, openBrowser, screenshot, until } from './harness.ts';
import { IdentityProvider } from './identity-provider.ts';
import { audit } from './page-audit.ts';
import { Visitor } from './visitor.ts';

const password = 'seven purple lanterns drift';

describe('single sign-on', { timeout: 1_800_000 }, () => {
  let provider: IdentityProvider;
  let freehold: Freehold;
  let browser: Browser;
  let owner: Visitor;
  let url: string;

  before(async () => {
    provider = await IdentityProvider.start();
    freehold = await Freehold.start({ env: { ...provider.env, FREEHOLD_BACKUPS: 'off', FREEHOLD_WORKERS: '2' } });
    browser = await openBrowser();
    const tenant = await freehold.createTenant('acme', 'olga@acme.example');
    url = tenant.url.replace(/\/$/, '');
    await (await freehold.signUp(tenant, password)).close();
    await provider.register(`${url}/-/sign-on/callback`);
    provider.accounts.set('s-1', { sub: 's-1', email: 'paul@contoso.example', name: 'Paul Contoso', groups: ['it'] });
    provider.accounts.set('s-2', { sub: 's-2', email: 'eve@fabrikam.example', name: 'Eve Fabrikam', groups: ['it'] });
    owner = await Visitor.open(browser, 'owner');
    await owner.page.goto(`${url}/-/sign-in?next=/-/single-sign-on`);
    await owner.signIn({ email: 'olga@acme.example', password });
    await owner.page.goto(`${url}/-/single-sign-on`);
  });
  after(async () => {
    await owner?.close();
    await browser?.close();
    await freehold?.stop();
    await provider?.stop();
  });

  /** In the dialog or form that is open. */
  const confirm = async (button: string) => {
    const { page } = owner;
    await page.getByLabel('Your password').fill(password);
    await page.getByRole('dialog').getByRole('button', { name: button, exact: true }).click();
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
  };
  const look = async (visitor: Visitor, name: string) => {
    await visitor.settle();
    await screenshot(visitor.page, name);
    const { faults, headings, overflow } = await audit(visitor.page);
    assert.deepEqual({ faults, headings, overflow }, { faults: [], headings: 1, overflow: 0 }, name);
    assert.deepEqual(await findSeriousViolations(visitor.page), [], name);
  };

  it('is set up by an owner: a connection, a test, a proven domain', async () => {
    const { page } = owner;
    await look(owner, 'single-sign-on-empty');
    await page.getByRole('button', { name: 'New connection' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Contoso');
    await page.getByLabel('Issuer').fill(provider.issuer);
    await page.getByLabel('Client ID').fill(provider.client.id);
    await page.getByRole('textbox', { name: 'Client secret' }).fill(provider.client.secret);
    await page.getByLabel('Claim for roles').fill('groups');
    await page.getByLabel('Values that make an admin').fill('it');
    await screenshot(page, 'single-sign-on-form');
    await confirm('Make the connection');

    await page.getByRole('button', { name: 'Test', exact: true }).click();
    await page.getByRole('link', { name: 'Paul Contoso' }).click();
    await page.getByText('The domain of the e-mail address is not among the proven domains').waitFor();
    await look(owner, 'single-sign-on-failed-test');

    await page.getByRole('button', { name: 'Add a domain' }).click();
    await page.getByLabel('Domain', { exact: true }).fill('contoso.example');
    await confirm('Add');
    await page.getByRole('button', { name: 'Look now' }).click();
    await page.getByText('The record was not found in the DNS').waitFor();
    const token = (await page.getByText(/^freehold-domain-proof=/).textContent())!;
    provider.records.set('_freehold-challenge.contoso.example', token.trim());
    await page.getByRole('button', { name: 'Look now' }).click();
    await page.getByText('Proven', { exact: true }).waitFor();

    // The provider still knows who it was.
    await page.getByRole('button', { name: 'Test', exact: true }).click();
    await page.getByText('just now, passed').or(page.getByText(', passed')).first().waitFor();
    await look(owner, 'single-sign-on-tested');
    await page.getByRole('button', { name: 'Turn on' }).click();
    await confirm('Turn on');
    await page.getByText('On', { exact: true }).waitFor();
    assert.deepEqual(owner.problems, []);
  });

  it('lets a colleague in with one click, as an admin, and leads to the page that was asked for', async () => {
    const paul = await Visitor.open(browser, 'paul');
    await paul.page.goto(`${url}/items?x=1`);
    await paul.page.getByRole('button', { name: 'Continue with Contoso' }).waitFor();
    await look(paul, 'sign-in-with-single-sign-on');
    await paul.page.getByRole('button', { name: 'Continue with Contoso' }).click();
    await paul.page.getByRole('link', { name: 'Paul Contoso' }).click();
    await paul.page.waitForURL((at) => at.pathname === '/items' && at.search === '?x=1');
    const me = await paul.page.evaluate(async () => (await fetch('/-/api/session')).json());
    assert.deepEqual([me.user.email, me.user.name, me.user.role], ['paul@contoso.example', 'Paul Contoso', 'admin']);
    assert.deepEqual(paul.problems, []);
    await paul.close();
  });

  it('asks for the address first: it leads to the organisation of its domain, or to the password, by the keyboard alone', async () => {
    const visitor = await Visitor.open(browser, 'by-address', { width: 400 });
    const { page } = visitor;
    const email = page.getByRole('textbox', { name: 'E-mail' });
    const secret = page.getByLabel('Password', { exact: true });
    const fields = () =>
      page
        .locator('form input')
        .evaluateAll((inputs) =>
          (inputs as HTMLInputElement[]).map(({ name, autocomplete }) => `${name}: ${autocomplete}`),
        );
    /** A page that is open notices that it has no session any more, and goes to the sign-in by itself. */
    const leave = async () => {
      await page.goto('about:blank');
      await page.context().clearCookies();
    };
    const focusOf = () => page.evaluate(() => (document.activeElement as HTMLInputElement | null)?.name);
    await page.goto(`${url}/-/sign-in?next=${encodeURIComponent('/items?x=2')}`);
    await email.waitFor();
    // What password managers and the browser's passkeys go by, though nobody sees a password asked for.
    assert.deepEqual(await fields(), ['email: username webauthn', 'password: current-password']);
    assert.equal(await page.getByRole('textbox', { name: 'Password' }).count(), 0);
    await look(visitor, 'sign-in-by-address');
    await page.keyboard.press('Enter');
    await page.getByText('Enter your e-mail address.').waitFor();

    // Nobody has this address: the same page as for somebody who has.
    await email.fill('nobody@acme.example');
    await page.keyboard.press('Enter');
    await page.getByRole('textbox', { name: 'Password' }).waitFor();
    await until('the password to have the focus', async () => (await focusOf()) === 'password');
    await look(visitor, 'sign-in-password-step');
    assert.deepEqual(await fields(), ['email: username webauthn', 'password: current-password']);
    await page.getByRole('button', { name: 'Change', exact: true }).click();
    await until('the address to have the focus', async () => (await focusOf()) === 'email');

    await email.fill('paul@contoso.example');
    await page.keyboard.press('Enter');
    await page.waitForURL((at) => at.origin === provider.issuer);
    await page.getByRole('link', { name: 'Paul Contoso' }).click();
    await page.waitForURL((at) => at.pathname === '/items' && at.search === '?x=2');

    await leave();
    await page.goto(`${url}/-/sign-in?next=${encodeURIComponent('/items?x=3')}`);
    await email.fill('olga@acme.example');
    await page.keyboard.press('Enter');
    await until('the password to have the focus', async () => (await focusOf()) === 'password');
    await page.keyboard.type(password);
    await page.keyboard.press('Enter');
    await page.waitForURL((at) => at.pathname === '/items' && at.search === '?x=3');

    // A password manager fills both fields at once: one click is enough. And whoever has both may do without the organisation.
    for (const first of ['Continue', 'Sign in with a password instead']) {
      await leave();
      await page.goto(`${url}/-/sign-in?next=${encodeURIComponent('/items?x=4')}`);
      await page.getByRole('button', { name: 'Continue', exact: true }).waitFor();
      if (first !== 'Continue') await page.getByRole('button', { name: first }).click();
      await email.fill('olga@acme.example');
      await secret.fill(password);
      await page.keyboard.press('Enter');
      await page.waitForURL((at) => at.pathname === '/items' && at.search === '?x=4');
    }
    assert.deepEqual(visitor.problems, []);
    await visitor.close();
  });

  it('refuses somebody of another domain in plain words, and an old answer', async () => {
    const eve = await Visitor.open(browser, 'eve');
    await eve.page.goto(`${url}/-/sign-in`);
    await eve.page.getByRole('button', { name: 'Continue with Contoso' }).click();
    await eve.page.getByRole('link', { name: 'Eve Fabrikam' }).click();
    await eve.page.getByRole('heading', { name: 'Your organisation did not let you in' }).waitFor();
    assert.equal(new URL(eve.page.url()).search, '', 'what the provider brought is gone from the address');
    await look(eve, 'sign-on-refused');
    await eve.page.goto(`${url}/-/sign-on/callback?code=x&state=${'x'.repeat(43)}`);
    await eve.page.getByRole('heading', { name: 'This sign-in cannot go on' }).waitFor();
    assert.deepEqual(eve.problems, []);
    await eve.close();
  });

  it('over SAML: metadata from an address, a test, and a sign-in by a form of another site', async () => {
    const { page } = owner;
    await page.goto(`${url}/-/single-sign-on`);
    await page.getByRole('button', { name: 'New connection' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Fabrikam');
    await page.getByRole('radio', { name: 'SAML' }).check();
    await page.getByLabel('Address of the provider’s metadata').fill(`${provider.issuer}/saml/metadata`);
    await screenshot(page, 'single-sign-on-saml-form');
    await confirm('Make the connection');
    await page.getByText(`${url}/-/api/sign-on/saml/metadata/con_`).waitFor();
    await look(owner, 'single-sign-on-saml');
    const address = (await page.getByText(`${url}/-/api/sign-on/saml/metadata/con_`).textContent())!.trim();
    for (const at of [address, `${url}/-/api/sign-on/saml/metadata`]) {
      const { type, text } = await page.evaluate(async (from) => {
        const answer = await fetch(from);
        return { type: answer.headers.get('content-type'), text: await answer.text() };
      }, at);
      assert.equal(type, 'application/samlmetadata+xml; charset=utf-8');
      assert.ok(text.includes(`entityID="${url}/-/api/sign-on/saml/metadata"`));
      assert.ok(text.includes(`Location="${url}/-/sign-on/saml"`));
      assert.equal(text.includes('X509Certificate'), at === address);
    }

    const panel = page.getByRole('region', { name: 'Fabrikam' });
    await panel.getByRole('button', { name: 'Test', exact: true }).click();
    await page.getByRole('link', { name: 'Eve Fabrikam' }).click();
    await page.getByText('The domain of the e-mail address is not among the proven domains').waitFor();
    await panel.getByRole('button', { name: 'Add a domain' }).click();
    await page.getByLabel('Domain', { exact: true }).fill('fabrikam.example');
    await confirm('Add');
    const token = (await panel.getByText(/^freehold-domain-proof=/).textContent())!;
    provider.records.set('_freehold-challenge.fabrikam.example', token.trim());
    await panel.getByRole('button', { name: 'Look now' }).click();
    await panel.getByText('Proven', { exact: true }).waitFor();
    await panel.getByRole('button', { name: 'Test', exact: true }).click();
    await page.getByRole('link', { name: 'Eve Fabrikam' }).click();
    await panel.getByText(', passed').waitFor();
    await panel.getByRole('button', { name: 'Turn on' }).click();
    await confirm('Turn on');
    assert.deepEqual(owner.problems, []);

    const eve = await Visitor.open(browser, 'eve-saml');
    await eve.page.goto(`${url}/items?x=1`);
    await eve.page.getByRole('button', { name: 'Continue with Fabrikam' }).click();
    await eve.page.getByRole('link', { name: 'Eve Fabrikam' }).click();
    await eve.page.waitForURL((at) => at.pathname === '/items' && at.search === '?x=1');
    const me = await eve.page.evaluate(async () => (await fetch('/-/api/session')).json());
    assert.deepEqual([me.user.email, me.user.name, me.user.role], ['eve@fabrikam.example', 'Eve Fabrikam', 'member']);

    // Signed out here: then there. And there: then here, with the next request, whichever worker takes it.
    const logOut = `${url}/-/sign-on/saml/log-out/${address.split('/').at(-1)}`;
    provider.saml!.sloUrl = logOut;
    const signOut = async () => {
      await eve.page.goto(`${url}/-/account`);
      await eve.page.getByRole('button', { name: 'Account of Eve Fabrikam' }).click();
      await eve.page.getByRole('menuitem', { name: 'Sign out', exact: true }).click();
    };
    await signOut();
    await eve.page.getByText('Here, and at Fabrikam.').waitFor({ timeout: 30_000 });
    assert.deepEqual(
      [new URL(eve.page.url()).pathname, new URL(eve.page.url()).search],
      [new URL(logOut).pathname, ''],
    );
    await look(eve, 'signed-out-at-the-organisation');
    const statuses = () =>
      eve.page.evaluate(async () => {
        const answers = await Promise.all(Array.from({ length: 12 }, () => fetch('/-/api/session')));
        return [...new Set(answers.map(({ status }) => status))];
      });
    assert.deepEqual(await statuses(), [401]);
    eve.problems.splice(0);
    await eve.page.goto(`${url}/items?x=2`);
    await eve.page.getByRole('button', { name: 'Continue with Fabrikam' }).click();
    await eve.page.getByRole('link', { name: 'Eve Fabrikam' }).click();
    await eve.page.waitForURL((at) => at.pathname === '/items');
    assert.deepEqual(await statuses(), [200]);
    await eve.page.goto(`${provider.issuer}/saml/sign-out`);
    await eve.page.getByRole('heading', { name: 'Signed out everywhere' }).waitFor();
    await eve.page.goto(`${url}/-/signed-out`);
    assert.deepEqual(await statuses(), [401]);
    eve.problems.splice(0);
    // A message that nobody signed, and an answer that nobody waits for.
    await eve.page.goto(`${logOut}?SAMLRequest=AAAA&RelayState=%22%3E%3Cscript%3E`);
    await eve.page.getByRole('heading', { name: 'This sign-out message was not accepted' }).waitFor();
    await eve.page.goto(`${logOut}?SAMLResponse=AAAA&RelayState=${'x'.repeat(43)}&SigAlg=x&Signature=x`);
    await eve.page.getByRole('heading', { name: 'Whether you are signed out is not known' }).waitFor();
    eve.problems.splice(0);
    // Who comes there with nothing, or with something that answers no question, reads what to do.
    await eve.page.goto(`${url}/-/sign-on/saml`);
    await eve.page.getByRole('heading', { name: 'This sign-in cannot go on' }).waitFor();
    assert.deepEqual(eve.problems, []);
    await eve.close();
  });
});
