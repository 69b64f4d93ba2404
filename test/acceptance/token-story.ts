/** A user makes an API token without touching the mouse; a program uses it; the user revokes it. */
import assert from 'node:assert/strict';
import type { Browser } from 'playwright-core';
import { findSeriousViolations } from './axe.ts';
import { Client, until } from './harness.ts';
import { Visitor } from './visitor.ts';

const name = 'Weekly export';

export async function keepTokens(
  browser: Browser,
  demo: { readonly url: string; readonly email: string; readonly password: string },
  ca: string,
): Promise<void> {
  const visitor = await Visitor.open(browser, 'tokens');
  const { page } = visitor;
  const faults: string[] = [];
  const look = async () => faults.push(...(await findSeriousViolations(page)));
  const program = new Client(demo.url, ca);
  const ask = (method: string, path: string, token: string, body?: unknown) =>
    program.send(method, path, body, { authorization: `Bearer ${token}`, 'user-agent': 'export/3.0 (nightly)' });

  await page.goto(`${demo.url}/`);
  await visitor.signIn(demo);
  await page.goto(`${demo.url}/-/tokens`);
  await page.getByRole('heading', { name: 'API tokens', level: 1 }).waitFor();
  await page.getByRole('button', { name: 'New token' }).focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'New API token' });
  await dialog.waitFor();
  await until('the name to have the focus', () =>
    dialog.getByLabel('Name').evaluate((input) => input === document.activeElement),
  );
  await page.keyboard.type(name);
  // Scope, by arrows; days; password.
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowDown');
  assert.equal(await dialog.getByLabel('Read and write').isChecked(), true);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.type('not my password at all');
  await look();
  await page.keyboard.press('Enter');
  await dialog.getByText('The current password is not right').waitFor();
  await dialog.getByLabel('Your password').fill(demo.password);
  await page.keyboard.press('Enter');
  const shown = dialog.locator('code');
  await shown.waitFor();
  const token = (await shown.textContent()) ?? '';
  assert.match(token, /^fhp_[0-9A-Za-z]{36}$/);
  await look();
  await dialog.getByRole('button', { name: 'Copy API token' }).focus();
  await page.keyboard.press('Enter');
  await dialog.getByRole('button', { name: 'Copied API token' }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), token);
  await dialog.getByRole('button', { name: 'Done' }).focus();
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
  assert.ok(!(await page.content()).includes(token), 'it is shown once');

  const me = await ask('GET', '/api/me', token);
  assert.equal(me.status, 200, me.text);
  assert.equal((me.json as { user: { email: string } }).user.email, demo.email);
  assert.equal(me.headers['set-cookie'], undefined);
  const refused = await ask('GET', '/-/api/tokens', token);
  assert.deepEqual([refused.status, (refused.json as { code: string }).code], [403, 'FH_TOKEN_NOT_HERE']);

  const row = page.getByRole('row').filter({ hasText: name });
  await until('the last use to be shown', async () => {
    await page.reload();
    await row.waitFor();
    return (await row.textContent())?.includes('export/3.0') ?? false;
  });
  await look();
  await row.getByRole('button', { name: `Revoke ${name}` }).focus();
  await page.keyboard.press('Enter');
  const question = page.getByRole('dialog', { name: `Revoke “${name}”` });
  await question.waitFor();
  await until('the answer to have the focus', () =>
    question.getByRole('button', { name: 'Revoke token' }).evaluate((button) => button === document.activeElement),
  );
  await look();
  await page.keyboard.press('Enter');
  await row.waitFor({ state: 'detached' });
  const over = await ask('GET', '/api/me', token);
  assert.equal(over.status, 401);
  assert.equal(over.headers['www-authenticate'], 'Bearer error="invalid_token"');
  // The one that the pages were looked at with; then there is none.
  await page.getByRole('button', { name: 'Revoke Nightly report' }).click();
  await page.getByRole('button', { name: 'Revoke token' }).click();
  await page.getByRole('heading', { name: 'You have no API tokens' }).waitFor();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await look();
  await program.close();
  assert.deepEqual(faults, []);
  assert.deepEqual(visitor.problems, []);
  await visitor.close();
}
