/** A second person: invited, at work in the same board at the same time, with another role, signed out everywhere. */
import assert from 'node:assert/strict';
import { Authenticator } from '../authenticator.ts';
import { screenshot, until } from '../harness.ts';
import { findWorker } from '../story.ts';
import type { Visitor } from '../visitor.ts';
import { ada, ben, cardOf, column, drag, type Hour } from './hour.ts';

export async function workTogether(hour: Hour): Promise<void> {
  await hour.step('a member is invited and joins in another browser', async () => {
    const { page } = hour.owner;
    await page.getByRole('button', { name: `Account of ${ada.name}` }).click();
    await page.getByRole('menuitem', { name: 'People' }).click();
    await page.getByRole('button', { name: 'Invite' }).click();
    const dialog = page.getByRole('dialog', { name: 'Invite somebody' });
    await dialog.getByLabel('E-mail').fill(ben.email);
    await dialog.getByRole('button', { name: 'Make the invitation' }).click();
    const url = await hour.owner.readLink(/https:\/\/northwind\.localhost:\d+\/-\/invitations\/[\w-]+/);
    await dialog.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('table', { name: 'Open invitations' }).getByText(ben.email).waitFor();

    hour.member = await hour.open('member');
    await hour.member.acceptInvitation(url, ben);
    await page.reload();
    await page.getByRole('row', { name: new RegExp(`${ben.name}.*Member`) }).waitFor();
    await screenshot(page, '11-people');
  });

  await hour.step(
    'what one browser changes, the other shows at once, also through another gateway process',
    async () => {
      const board = hour.at('/p/SUP/board');
      const workers = new Map<string, Visitor>();
      const place = async (visitor: Visitor) => {
        const answer = visitor.page.waitForResponse((response) => new URL(response.url()).pathname === '/api/me');
        await visitor.page.goto(board);
        const requestId = (await answer).headers()['x-request-id']!;
        await cardOf(visitor.page.locator('main'), 'Invoice').waitFor();
        const worker = await until('the request in a log', async () => findWorker(hour.freehold, requestId));
        if (!workers.has(worker)) workers.set(worker, visitor);
        return worker;
      };
      const here = await place(hour.owner);
      let other = hour.member;
      // Each context has connections of its own, and the kernel chooses which process takes one.
      for (let tries = 0; (await place(other)) === here && tries < 16; tries++) {
        if (other !== hour.member) {
          await hour.leave(other);
        }
        // A sign-in of its own: two browsers with one session's cookie are what the rotation of keys is there to find.
        other = await hour.open('member');
        await other.page.goto(hour.at('/-/sign-in'));
        await other.signIn(ben);
      }
      assert.equal(workers.size, 2, `both browsers are served by ${here}`);

      await cardOf(column(hour.owner.page, 'todo'), 'Invoice').focus();
      await hour.owner.page.keyboard.press('Shift+ArrowRight');
      await cardOf(column(other.page, 'doing'), 'Invoice').waitFor({ timeout: 180_000 });
      await drag(other.page, cardOf(column(other.page, 'doing'), 'Invoice'), column(other.page, 'done'));
      await cardOf(column(hour.owner.page, 'done'), 'Invoice').waitFor({ timeout: 180_000 });

      await cardOf(hour.owner.page.locator('main'), 'Refund').click();
      const panel = hour.owner.page.getByRole('complementary', { name: 'Item SUP-4' });
      await panel.getByText('Called back').waitFor();
      await other.page.goto(hour.at('/i/SUP-4'));
      await other.page.getByLabel('New comment on SUP-4').fill('Seen from the other side.');
      await other.page.keyboard.press('Control+Enter');
      await panel.getByText('Seen from the other side.').waitFor({ timeout: 180_000 });
      await screenshot(hour.owner.page, '12-live-update');
      if (other !== hour.member) {
        await hour.leave(other);
      }
    },
  );

  await hour.step('a changed role takes effect on the very next request', async () => {
    const asMember = (path: string) =>
      hour.member.page.evaluate(async (url) => {
        const answer = await fetch(url, { headers: { accept: 'application/json' } });
        return { status: answer.status, body: await answer.json() };
      }, path);
    assert.equal((await asMember('/-/api/invitations')).status, 403);
    const { page } = hour.owner;
    const setRole = async (role: string) => {
      await page.getByRole('button', { name: `Actions for ${ben.name}` }).click();
      await page.getByRole('menuitem', { name: `Make ${role}` }).click();
      await page
        .getByRole('dialog')
        .getByRole('button', { name: `Make ${role}` })
        .click();
      await page.getByRole('row', { name: new RegExp(`${ben.name}.*${role}`, 'i') }).waitFor();
    };
    await page.goto(hour.at('/-/people'));
    // Other rights come with another session: the old one is at its end before the next request.
    await setRole('admin');
    assert.equal((await asMember('/-/api/session')).status, 401);
    await hour.member.page.goto(hour.at('/-/sign-in'));
    await hour.member.signIn(ben);
    assert.equal((await asMember('/-/api/session')).body.user.role, 'admin');
    assert.equal((await asMember('/-/api/invitations')).status, 200);
    await setRole('member');
    assert.equal((await asMember('/-/api/invitations')).status, 401);
    await hour.member.page.goto(hour.at('/-/sign-in'));
    await hour.member.signIn(ben);
    const refused = await asMember('/-/api/invitations');
    assert.deepEqual([refused.status, refused.body.code], [403, 'FH_ROLE_REQUIRED']);
  });

  await hour.step(
    'an owner removes the second factor of somebody who lost it, and shows who they are for it',
    async () => {
      const member = hour.member.page;
      await member.goto(hour.at('/-/account'));
      await member.getByRole('button', { name: 'Set up' }).click();
      await member.getByLabel('Your password').fill(ben.password);
      await member.getByRole('button', { name: 'Continue' }).click();
      const app = new Authenticator(await hour.member.readLink(/^[A-Z2-7]{32}$/));
      await member.getByLabel('Code from your app').fill(app.code());
      await member.getByRole('button', { name: 'Turn on' }).click();
      await member.getByRole('button', { name: 'I have kept them' }).click();
      await member.getByText('10 recovery codes left').waitFor();

      const { page } = hour.owner;
      await page.goto(hour.at('/-/people'));
      await page.getByRole('button', { name: `Actions for ${ben.name}` }).click();
      await page.getByRole('menuitem', { name: 'Remove second factor' }).click();
      const dialog = page.getByRole('dialog', { name: `Remove the second factor of ${ben.name}` });
      await dialog.getByText('is told by mail').waitFor();
      await screenshot(page, '14-remove-second-factor');
      await dialog.getByLabel('Your password').fill(`${ada.password} not`);
      await dialog.getByRole('button', { name: 'Remove second factor' }).click();
      await dialog.getByText('The current password is not right').waitFor();
      const status = () => member.evaluate(async () => (await fetch('/-/api/session')).status);
      assert.equal(await status(), 200, 'nothing happened');
      await dialog.getByLabel('Your password').fill(ada.password);
      await dialog.getByRole('button', { name: 'Remove second factor' }).click();
      await dialog.waitFor({ state: 'detached' });
      assert.equal(await status(), 401);
      await page.getByRole('button', { name: `Actions for ${ben.name}` }).click();
      await page.getByRole('menuitem', { name: 'Disable user' }).waitFor();
      assert.equal(await page.getByRole('menuitem', { name: 'Remove second factor' }).count(), 0);
      await page.keyboard.press('Escape');
      // The password alone is enough again.
      await member.goto(hour.at('/-/sign-in'));
      await hour.member.signIn(ben);
    },
  );

  await hour.step('signing out everywhere ends the sessions of every device', async () => {
    const phone = await hour.open('phone', { width: 390 });
    await phone.page.goto(hour.at('/'));
    await phone.signIn(ada);
    const { page } = hour.owner;
    await page.goto(hour.at('/-/account'));
    const devices = page.getByRole('table', { name: 'Devices' });
    await devices.getByText('This device').waitFor();
    assert.equal(await devices.locator('tbody tr').count(), 2);
    await screenshot(page, '13-account');
    await page.getByRole('button', { name: 'Sign out everywhere' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere' }).click();
    await page.waitForURL('**/-/signed-out');
    await phone.page.goto(hour.at('/'));
    await phone.page.waitForURL('**/-/sign-in**');
    await hour.leave(phone);
    const still = await hour.member.page.evaluate(async () => (await fetch('/-/api/session')).status);
    assert.equal(still, 200, 'the sessions of others go on');
    await page.goto(hour.at('/-/sign-in'));
    await hour.owner.signIn(ada);
  });
}
