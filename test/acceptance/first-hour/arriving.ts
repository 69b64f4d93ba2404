/** From the set-up link to the first page of the app: staff, a tenant, its owner, the ways in and out. */
import assert from 'node:assert/strict';
import { screenshot } from '../harness.ts';
import type { Visitor } from '../visitor.ts';
import { ada, type Hour, olive } from './hour.ts';

export async function arrive(hour: Hour): Promise<void> {
  await hour.step('the set-up link makes the first member of staff, once', async () => {
    hour.staff = await hour.open('staff');
    await hour.staff.page.goto(hour.freehold.ready.setupUrl!);
    await hour.staff.page.getByLabel('Your name').waitFor();
    assert.doesNotMatch(hour.staff.page.url(), /setup=/, 'the link does not stay in the address bar');
    await screenshot(hour.staff.page, '01-set-up-link');
    await hour.staff.setUpStaff(hour.freehold.ready.setupUrl!, olive);
    await hour.staff.page.getByText('No tenants yet').waitFor();
    await screenshot(hour.staff.page, '02-console-empty');

    const second = await hour.open('second');
    await second.page.goto(hour.freehold.ready.setupUrl!);
    await second.page.getByText('This set-up link cannot be used').waitFor();
    await hour.leave(second);
  });

  await hour.step('the console makes a tenant and shows the invitation once', async () => {
    const { page } = hour.staff;
    await page.getByRole('button', { name: 'Create tenant' }).click();
    const dialog = page.getByRole('dialog', { name: 'Create tenant' });
    const submit = dialog.getByRole('button', { name: 'Create tenant' });
    await dialog.getByLabel('Name', { exact: true }).fill('Bad Näme');
    await dialog
      .getByText(/small letters/)
      .first()
      .waitFor();
    assert.equal(await submit.isDisabled(), true);
    await dialog.getByLabel('Name', { exact: true }).fill('northwind');
    await dialog.getByLabel('Title').fill('Northwind Trading');
    await dialog.getByLabel('E-mail of the first administrator').fill(ada.email);
    await dialog.getByText(`https://northwind.localhost:${hour.freehold.port}`).waitFor();
    await screenshot(page, '03-create-tenant');
    await submit.click();
    await dialog.getByRole('progressbar').waitFor();
    await dialog.getByRole('button', { name: 'Show the invitation link' }).click();
    hour.invitationUrl = await hour.staff.readLink(/https:\/\/northwind\.localhost:\d+\/-\/invitations\/[\w-]+/);
    await screenshot(page, '04-tenant-created');
    await dialog.getByRole('button', { name: 'Close' }).last().click();
    await page.getByRole('row', { name: /northwind.*Active/ }).waitFor();
  });

  await hour.step('weak passwords are refused with the reason, a good one opens the door', async () => {
    hour.owner = await hour.open('owner');
    const { page } = hour.owner;
    await page.goto(hour.invitationUrl);
    await page.getByRole('heading', { name: 'Join Northwind Trading' }).waitFor();
    assert.equal(await page.getByLabel('E-mail').inputValue(), ada.email);
    await page.getByLabel('Your name').fill(ada.name);
    const join = page.getByRole('button', { name: 'Join Northwind Trading' });
    for (const [password, reason] of [
      ['x', /1 character; 15 are needed/],
      ['passwordpassword', /attackers try first/],
      ['Password1234567!', /attackers try first|repeats itself|follows the alphabet/],
      ['AdaNorthrop-2026!', /made of your name/],
      ['northwind.example', /made of your name/],
      ['abcdefghijklmnopq', /repeats itself|attackers try first/],
    ] as const) {
      await page.getByLabel('Choose a password').fill(password);
      await join.click();
      await page.getByLabel('Choose a password').and(page.locator('[aria-invalid=true]')).waitFor();
      await page.getByText(reason).first().waitFor();
    }
    await screenshot(page, '05-weak-password');
    const token = hour.invitationUrl.split('/').at(-1);
    const api = hour.freehold.tenantClient('northwind');
    const huge = await api.send('POST', `/-/api/invitations/${token}`, {
      name: 'Ada',
      password: 'x'.repeat(1_048_576),
    });
    assert.deepEqual([huge.status, huge.json.code], [422, 'FH_PASSWORD_REFUSED']);
    await api.close();

    await hour.owner.acceptInvitation(hour.invitationUrl, ada);
    assert.equal(new URL(page.url()).pathname, '/');
    await screenshot(page, '06-first-page-of-desk');

    await page.goto(hour.invitationUrl);
    await page.getByText('This invitation cannot be used').waitFor();
  });

  await hour.step('sign out, be refused with a wrong password, sign in', async () => {
    const { page } = hour.owner;
    await page.goto(hour.at('/'));
    await page.getByRole('button', { name: `Account of ${ada.name}` }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.waitForURL('**/-/signed-out');
    await page.goto(hour.at('/projects'));
    await page.waitForURL('**/-/sign-in?**');
    await page.getByLabel('E-mail').fill(ada.email);
    await page.getByLabel('Password', { exact: true }).fill('not the password of Ada');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByText('E-mail address and password do not belong together').waitFor();
    await screenshot(page, '07-sign-in-refused');
    await hour.owner.signIn(ada);
    assert.equal(new URL(page.url()).pathname, '/projects', 'leads where the person wanted to go');
  });

  await hour.step(
    'a forgotten password: a link by mail, which the console keeps while there is no mail server',
    async () => {
      const forgetful = await hour.open('forgetful');
      const { page } = forgetful;
      await page.goto(hour.at('/-/sign-in'));
      await page.getByRole('link', { name: 'Forgot your password?' }).click();
      // Until then the field is that of the page before.
      await page.getByRole('heading', { name: 'Forgot your password?' }).waitFor();
      await page.getByLabel('E-mail').fill('nobody@northwind.example');
      await page.getByRole('button', { name: 'Send me a link' }).click();
      await page.getByRole('heading', { name: 'Look into your mailbox' }).waitFor();
      await page.goto(hour.at('/-/forgot-password'));
      await page.getByLabel('E-mail').fill(ada.email.toUpperCase());
      await screenshot(page, '08-forgot-password');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Look into your mailbox' }).waitFor();

      const staff = hour.staff.page;
      await staff.getByRole('link', { name: 'Mail' }).click();
      await staff.getByText('There is no mail server').waitFor();
      await staff.getByRole('row', { name: /You are invited to Northwind Trading.*ada@northwind\.example/ }).waitFor();
      const message = staff.getByRole('button', { name: 'Choose a new password for Northwind Trading' });
      // The link is made and mailed behind the answer; the page asks anew by itself.
      await message.waitFor({ timeout: 90_000 });
      await screenshot(staff, '09-console-mail');
      assert.equal(await message.count(), 1, 'nothing was written to whom nobody knows');
      await message.press('Enter');
      await hour.staff.confirmStepUp(olive);
      const dialog = staff.getByRole('dialog');
      const link = await dialog.getByRole('link', { name: /\/-\/reset-password#token=/ }).getAttribute('href');
      assert.ok(link!.startsWith(hour.at('/-/reset-password#token=')));
      await screenshot(staff, '10-console-message');
      await staff.keyboard.press('Escape');
      await renewRecoveryCodes(hour.staff);
      await staff.getByRole('link', { name: 'Tenants' }).click();

      const newPassword = 'two clocks, one harbour, no wind';
      await page.goto(link!);
      await page.getByRole('heading', { name: 'Choose a new password' }).waitFor();
      assert.doesNotMatch(page.url(), /token/, 'the link does not stay in the address bar');
      assert.equal(await page.getByLabel('E-mail').inputValue(), ada.email);
      await page.getByLabel('New password').fill(newPassword);
      await screenshot(page, '11-new-password');
      await page.getByRole('button', { name: 'Set the new password' }).click();
      await page.getByRole('heading', { name: 'You have a new password' }).waitFor();
      await page.getByRole('link', { name: 'Sign in' }).click();
      await page.getByLabel('Password', { exact: true }).waitFor();
      await hour.leave(forgetful);

      const owner = hour.owner.page;
      await owner.goto(hour.at('/projects'));
      await owner.waitForURL('**/-/sign-in?**');
      const api = hour.freehold.tenantClient('northwind');
      const { email, password } = ada;
      assert.equal((await api.send('POST', '/-/api/session', { email, password })).status, 401);
      assert.equal((await api.send('POST', '/-/api/session', { email, password: newPassword })).status, 201);
      const back = { currentPassword: newPassword, newPassword: password };
      assert.equal((await api.send('PUT', '/-/api/password', back)).status, 204);
      assert.equal((await api.send('DELETE', '/-/api/session')).status, 204);
      await api.close();
      await hour.owner.signIn(ada);
    },
  );
}

/** Staff make new recovery codes, as they were asked who they are a moment ago or are now; those from before are worthless. */
async function renewRecoveryCodes(visitor: Visitor): Promise<void> {
  const { page, recoveryCodes } = visitor;
  const before = [...recoveryCodes];
  await page.getByRole('button', { name: `Account of ${olive.name}` }).click();
  await page.getByRole('menuitem', { name: 'Your sign-in' }).click();
  await page.getByRole('heading', { name: 'Your sign-in', level: 1 }).waitFor();
  await page.getByText(`${before.length} recovery codes`).waitFor();
  await page.getByRole('button', { name: 'New recovery codes' }).click();
  const list = page.getByRole('list', { name: 'Recovery codes' });
  await visitor.confirmStepUpIfAsked(olive, list);
  await list.waitFor();
  const made = await list.getByRole('listitem').allTextContents();
  assert.equal(new Set([...before, ...made]).size, before.length + 10);
  recoveryCodes.splice(0, recoveryCodes.length, ...made);
  await page.getByRole('button', { name: 'I have kept them' }).click();
  await page.getByText('10 recovery codes').waitFor();
}
