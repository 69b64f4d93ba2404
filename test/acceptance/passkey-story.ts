/**
 * A user of a tenant and an authenticator (Chromium's virtual one): a passkey is added on the account page, asked for after the password, signs in alone, by button
 * and below the field, is shown in place of a code, and is removed.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Browser, CDPSession } from 'playwright-core';
import { findSeriousViolations } from './axe.ts';
import { screenshot, until } from './harness.ts';
import { audit } from './page-audit.ts';
import { Visitor } from './visitor.ts';

interface Demo {
  readonly url: string;
  readonly email: string;
  readonly password: string;
}

/** One that verifies its user; `isPresent`: somebody touches it whenever it asks. */
async function plugIn(devtools: CDPSession): Promise<{ id: string; setPresent(isPresent: boolean): Promise<void> }> {
  await devtools.send('WebAuthn.enable');
  const { authenticatorId: id } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      ctap2Version: 'ctap2_1',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  const setPresent = async (enabled: boolean) => {
    await devtools.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId: id, enabled });
  };
  return { id, setPresent };
}

export async function usePasskeys(browser: Browser, demo: Demo): Promise<void> {
  const visitor = await Visitor.open(browser, 'passkeys');
  const { page } = visitor;
  const faults: string[] = [];
  const look = async (name: string) => {
    await visitor.settle();
    await screenshot(page, join('pages', name));
    const found = await audit(page);
    const lines = [...(await findSeriousViolations(page)), ...visitor.problems, ...found.faults];
    faults.push(...lines.map((line) => `${name}: ${line}`));
  };
  const devtools = await page.context().newCDPSession(page);
  const { id, setPresent } = await plugIn(devtools);
  const signOut = async () => {
    // From no page of ours, which would find out and go to the sign-in by itself while the test goes there.
    await page.goto(`${demo.url}/-/api/tenant`);
    await page.evaluate(() => fetch('/-/api/session', { method: 'DELETE' }));
  };
  const isHome = () => page.getByRole('heading', { name: 'Account', level: 1 }).waitFor();
  const password = async () => {
    await page.getByLabel('E-mail').fill(demo.email);
    await page.getByLabel('Password', { exact: true }).fill(demo.password);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  };

  // Added, with the keyboard.
  await page.goto(`${demo.url}/-/account`);
  await password();
  await page.getByText('You have none yet.').waitFor();
  await page.getByRole('button', { name: 'Add a passkey' }).focus();
  await page.keyboard.press('Enter');
  await until('the name to have the focus', () =>
    page
      .getByLabel('Name', { exact: true })
      .last()
      .evaluate((input) => input === document.activeElement),
  );
  await page.keyboard.type('Laptop');
  await page.keyboard.press('Tab');
  await page.keyboard.type(demo.password);
  await look('passkey-add');
  await page.keyboard.press('Enter');
  const codes = page.getByRole('list', { name: 'Recovery codes' });
  await codes.waitFor();
  const recoveryCodes = await codes.getByRole('listitem').allTextContents();
  assert.equal(new Set(recoveryCodes).size, 10);
  await page.getByRole('button', { name: 'I have kept them' }).click();
  const list = page.getByRole('list', { name: 'Your passkeys' });
  await list.getByText('Laptop').waitFor();
  await page.getByText('10 recovery codes left').waitFor();
  await look('passkey-on');
  const { credentials } = await devtools.send('WebAuthn.getCredentials', { authenticatorId: id });
  assert.deepEqual(
    credentials.map(({ rpId, isResidentCredential }) => [rpId, isResidentCredential]),
    [[new URL(demo.url).hostname, true]],
  );
  assert.ok(!Buffer.from(credentials[0]!.userHandle!, 'base64').toString('latin1').includes(demo.email));

  // After the password.
  await setPresent(false);
  await signOut();
  await page.goto(`${demo.url}/-/account`);
  await password();
  await page.getByRole('heading', { name: 'Use your passkey' }).waitFor();
  await look('sign-in-passkey-step');
  await setPresent(true);
  await page.keyboard.press('Enter');
  await isHome();

  // Alone, by button.
  await setPresent(false);
  await signOut();
  await page.goto(`${demo.url}/-/account`);
  const button = page.getByRole('button', { name: 'Use a passkey' });
  await button.waitFor();
  await look('sign-in-passkey');
  await setPresent(true);
  await button.focus();
  await page.keyboard.press('Enter');
  await isHome();

  // Alone, among what the browser offers below the field; somebody who is there has chosen it at once: the page
  // is left perhaps before it has loaded.
  await signOut();
  await page.goto(`${demo.url}/-/account`, { waitUntil: 'commit' });
  await isHome();

  // In place of a code: to remove it.
  await list.getByRole('button', { name: 'Remove Laptop' }).click();
  await page.getByLabel('Your password').fill(demo.password);
  await page.getByRole('button', { name: 'Use your passkey' }).click();
  await page.getByText('Passkey shown').waitFor();
  await look('passkey-remove');
  await page.getByRole('button', { name: 'Remove', exact: true }).click();
  await page.getByText('You have none yet.').waitFor();
  await page.getByText('Your password is all that it takes to sign in.').waitFor();

  // What was removed signs nobody in, and the page says so.
  await setPresent(false);
  await signOut();
  await page.goto(`${demo.url}/-/account`);
  await button.waitFor();
  await visitor.settle();
  await setPresent(true);
  await button.click();
  await page.getByText('This passkey does not sign you in').first().waitFor();
  await look('sign-in-passkey-refused');
  assert.deepEqual(faults, []);
  await visitor.close();
}
