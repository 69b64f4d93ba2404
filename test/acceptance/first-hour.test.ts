/**
 * A new user's first hour: an empty folder, one command, the console, a tenant, two people who work in it at once,
 * every act on a tenant, and the end. Each step begins where the one before has stopped.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Browser, Locator, Page } from 'playwright-core';
import { Freehold, openBrowser, screenshot, stopChild, until } from './harness.ts';
import { createSteps, findWorker } from './story.ts';
import { type Person, Visitor } from './visitor.ts';

const olive: Person = {
  name: 'Olive Staff',
  email: 'olive@operator.example',
  password: 'copper lantern under the ninth bridge',
};
const ada: Person = {
  name: 'Ada Northrop',
  email: 'ada@northwind.example',
  password: 'seven herons fishing before daylight',
};
const ben: Person = {
  name: 'Ben Okafor',
  email: 'ben@northwind.example',
  password: 'marble staircase, wet umbrella, tuba',
};

test('the first hour', { timeout: 300_000 }, async (t) => {
  const downloads = mkdtempSync(join(tmpdir(), 'fh-downloads-'));
  let freehold!: Freehold;
  let browser!: Browser;
  let staff!: Visitor;
  let owner!: Visitor;
  let member!: Visitor;
  const visitors: Visitor[] = [];
  const open = async (name: string, options: Parameters<typeof Visitor.open>[2] = {}) => {
    const visitor = await Visitor.open(browser, name, options);
    visitors.push(visitor);
    return visitor;
  };
  t.after(async () => {
    await browser?.close();
    if (freehold) await freehold.stop();
    rmSync(downloads, { recursive: true, force: true });
  });
  const step = createSteps(t, () => visitors);

  await step('one command on an empty folder: a line says that everything is ready', async () => {
    freehold = await Freehold.start();
    const { setupUrl, ...line } = freehold.ready;
    assert.deepEqual(line, {
      ready: true,
      gateway: `https://localhost:${freehold.port}`,
      console: `https://localhost:${freehold.consolePort}`,
      ca: join(freehold.dataDir, 'ca.crt'),
      pid: freehold.child.pid,
    });
    assert.match(readFileSync(line.ca, 'utf8'), /^-----BEGIN CERTIFICATE-----/);
    assert.ok(setupUrl?.startsWith(`${line.console}/`), 'while nobody is staff, the line holds the set-up link');
  });

  await step('the set-up link makes the first member of staff, once', async () => {
    browser = await openBrowser();
    staff = await open('staff');
    await staff.page.goto(freehold.ready.setupUrl!);
    await staff.page.getByLabel('Your name').waitFor();
    assert.doesNotMatch(staff.page.url(), /setup=/, 'the link does not stay in the address bar');
    await screenshot(staff.page, '01-set-up-link');
    await staff.setUpStaff(freehold.ready.setupUrl!, olive);
    await staff.page.getByText('No tenants yet').waitFor();
    await screenshot(staff.page, '02-console-empty');

    const second = await open('second');
    await second.page.goto(freehold.ready.setupUrl!);
    await second.page.getByText('This set-up link cannot be used').waitFor();
    await second.close();
    visitors.pop();
  });

  let invitationUrl = '';
  await step('the console makes a tenant and shows the invitation once', async () => {
    const { page } = staff;
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
    await dialog.getByText(`https://northwind.localhost:${freehold.port}`).waitFor();
    await screenshot(page, '03-create-tenant');
    await submit.click();
    await dialog.getByRole('progressbar').waitFor();
    await dialog.getByRole('button', { name: 'Show the invitation link' }).click();
    invitationUrl = await staff.readLink(/https:\/\/northwind\.localhost:\d+\/-\/invitations\/[\w-]+/);
    await screenshot(page, '04-tenant-created');
    await dialog.getByRole('button', { name: 'Close' }).last().click();
    await page.getByRole('row', { name: /northwind.*Active/ }).waitFor();
  });

  await step('weak passwords are refused with the reason, a good one opens the door', async () => {
    owner = await open('owner');
    const { page } = owner;
    await page.goto(invitationUrl);
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
    const token = invitationUrl.split('/').at(-1);
    const api = freehold.tenantClient('northwind');
    const huge = await api.send('POST', `/-/api/invitations/${token}`, {
      name: 'Ada',
      password: 'x'.repeat(1_048_576),
    });
    assert.deepEqual([huge.status, huge.json.code], [422, 'FH_PASSWORD_REFUSED']);
    await api.close();

    await owner.acceptInvitation(invitationUrl, ada);
    assert.equal(new URL(page.url()).pathname, '/');
    await screenshot(page, '06-first-page-of-desk');

    await page.goto(invitationUrl);
    await page.getByText('This invitation cannot be used').waitFor();
  });

  await step('sign out, be refused with a wrong password, sign in', async () => {
    const { page } = owner;
    await page.goto(`https://northwind.localhost:${freehold.port}/`);
    await page.getByRole('button', { name: `Account of ${ada.name}` }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.waitForURL('**/-/signed-out');
    await page.goto(`https://northwind.localhost:${freehold.port}/projects`);
    await page.waitForURL('**/-/sign-in?**');
    await page.getByLabel('E-mail').fill(ada.email);
    await page.getByLabel('Password', { exact: true }).fill('not the password of Ada');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByText('E-mail address and password do not belong together').waitFor();
    await screenshot(page, '07-sign-in-refused');
    await owner.signIn(ada);
    assert.equal(new URL(page.url()).pathname, '/projects', 'leads where the person wanted to go');
  });

  await step('a project, and items on its board', async () => {
    const { page } = owner;
    await page.getByRole('button', { name: 'New project' }).click();
    const dialog = page.getByRole('dialog', { name: 'New project' });
    await dialog.getByLabel('Name').fill('Customer support');
    assert.equal(await dialog.getByLabel('Key').inputValue(), 'CS');
    await dialog.getByLabel('Key').fill('SUP');
    await dialog.getByRole('button', { name: 'Create project' }).click();
    await page.getByRole('heading', { name: 'Customer support', level: 1 }).waitFor();
    await page.getByRole('button', { name: 'Add an item to To do' }).click();
    const title = page.getByLabel('Title of the new item in To do');
    for (const words of [
      'Invoice shows the wrong currency',
      'Printer in the Leipzig office',
      'Reset the password of the till',
    ]) {
      await title.fill(words);
      await title.press('Enter');
      await cardOf(column(page, 'todo'), words).waitFor();
    }
    await title.press('Escape');

    await page.getByRole('button', { name: 'New item' }).first().click();
    const item = page.getByRole('dialog', { name: 'New item' });
    await item.getByLabel('Title').fill('Refund for order 4711');
    await item
      .getByLabel('Description')
      .fill('Customer paid **twice**. See the _bank statement_ of March: zanzibar.\n\n- [ ] call back');
    await choose(item, page, /Priority/, 'Urgent');
    await choose(item, page, /Type/, 'Request');
    await item.getByRole('button', { name: 'Create item' }).click();
    await cardOf(column(page, 'todo'), 'Refund for order 4711').waitFor();
    assert.equal(await column(page, 'todo').locator('[data-card]').count(), 4);
  });

  await step('cards move with the pointer and with the keyboard, and stay moved', async () => {
    const { page } = owner;
    await drag(page, cardOf(column(page, 'todo'), 'Refund'), column(page, 'doing'));
    await cardOf(column(page, 'doing'), 'Refund').waitFor();
    await screenshot(page, '08-board');

    const printer = () => cardOf(page.locator('main'), 'Printer');
    await printer().focus();
    await page.keyboard.press('Shift+ArrowRight');
    await cardOf(column(page, 'doing'), 'Printer').waitFor();
    await page.keyboard.press('Shift+ArrowDown');
    await page.getByText('SUP-2 moved to Doing, place 2 of 2').waitFor({ state: 'attached' });
    await page.keyboard.press('Shift+ArrowRight');
    await cardOf(column(page, 'review'), 'Printer').waitFor();
    assert.equal(await printer().evaluate((card) => card === document.activeElement), true, 'the focus goes along');

    await page.reload();
    await cardOf(column(page, 'review'), 'Printer').waitFor();
    await cardOf(column(page, 'doing'), 'Refund').waitFor();
    assert.deepEqual(
      await column(page, 'todo')
        .locator('[data-card]')
        .evaluateAll((cards) => cards.map((card) => card.textContent?.match(/SUP-\d/)?.[0])),
      ['SUP-3', 'SUP-1'],
    );
  });

  await step('comments, an attachment there and back, and the history', async () => {
    const { page } = owner;
    await cardOf(page.locator('main'), 'Refund').click();
    const panel = page.getByRole('complementary', { name: 'Item SUP-4' });
    await panel.getByText('zanzibar').waitFor();
    assert.equal(await panel.locator('strong', { hasText: 'twice' }).count(), 1, 'Markdown is shown as such');
    await panel.getByLabel('New comment on SUP-4').fill('Called back, `IBAN` is on file. <img src=x onerror=alert(1)>');
    await panel
      .getByRole('button', { name: /comment/i })
      .last()
      .click();
    await panel.getByRole('article', { name: `Comment by ${ada.name}` }).waitFor();
    assert.equal(await panel.locator('article img').count(), 0, 'HTML in a comment is text');

    const content = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7919) & 0xff));
    const chooser = page.waitForEvent('filechooser');
    await panel.getByRole('button', { name: 'Attach files' }).click();
    await (await chooser).setFiles({
      name: 'statement März.bin',
      mimeType: 'application/octet-stream',
      buffer: content,
    });
    const download = page.waitForEvent('download');
    await panel.getByRole('link', { name: 'Download statement März.bin' }).click();
    const file = await download;
    assert.equal(file.suggestedFilename(), 'statement März.bin');
    const path = join(downloads, 'statement.bin');
    await file.saveAs(path);
    assert.ok(readFileSync(path).equals(content), 'the file comes back as it went');

    await panel.getByRole('tab', { name: 'History' }).click();
    await panel.getByText(/attached/).waitFor();
    await panel.getByText(/state from/).waitFor();
    await screenshot(page, '09-item-with-history');
    await panel.getByRole('button', { name: 'Close the item' }).click();
  });

  await step('the list filters and searches the full text', async () => {
    const { page } = owner;
    await page.getByRole('link', { name: 'List', exact: true }).click();
    const rows = page.getByRole('table', { name: 'Items' }).locator('tbody tr');
    await page.getByText('4 items', { exact: true }).waitFor();
    await page.getByRole('searchbox', { name: /Search in titles/ }).fill('zanzibar');
    await page.getByText('1 item', { exact: true }).waitFor();
    assert.match((await rows.first().textContent()) ?? '', /SUP-4.*Refund for order 4711/);
    assert.match(page.url(), /q=zanzibar/, 'the view can be shared');
    await page.getByRole('searchbox', { name: /Search in titles/ }).fill('');
    await page.getByText('4 items', { exact: true }).waitFor();
    await page.locator('search').getByRole('button', { name: 'Priority' }).click();
    await page.getByRole('option', { name: 'Urgent' }).click();
    await page.keyboard.press('Escape');
    await page.getByText('1 item', { exact: true }).waitFor();
    await screenshot(page, '10-list-filtered');
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.getByText('4 items', { exact: true }).waitFor();
  });

  await step('a member is invited and joins in another browser', async () => {
    const { page } = owner;
    await page.getByRole('button', { name: `Account of ${ada.name}` }).click();
    await page.getByRole('menuitem', { name: 'People' }).click();
    await page.getByRole('button', { name: 'Invite' }).click();
    const dialog = page.getByRole('dialog', { name: 'Invite somebody' });
    await dialog.getByLabel('E-mail').fill(ben.email);
    await dialog.getByRole('button', { name: 'Make the invitation' }).click();
    const url = await owner.readLink(/https:\/\/northwind\.localhost:\d+\/-\/invitations\/[\w-]+/);
    await dialog.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('table', { name: 'Open invitations' }).getByText(ben.email).waitFor();

    member = await open('member');
    await member.acceptInvitation(url, ben);
    await page.reload();
    await page.getByRole('row', { name: new RegExp(`${ben.name}.*Member`) }).waitFor();
    await screenshot(page, '11-people');
  });

  await step('what one browser changes, the other shows at once, also through another gateway process', async () => {
    const board = `https://northwind.localhost:${freehold.port}/p/SUP/board`;
    const workers = new Map<string, Visitor>();
    const place = async (visitor: Visitor) => {
      const answer = visitor.page.waitForResponse((response) => new URL(response.url()).pathname === '/api/me');
      await visitor.page.goto(board);
      const requestId = (await answer).headers()['x-request-id']!;
      await cardOf(visitor.page.locator('main'), 'Invoice').waitFor();
      const worker = await until('the request in a log', async () => findWorker(freehold, requestId));
      if (!workers.has(worker)) workers.set(worker, visitor);
      return worker;
    };
    const here = await place(owner);
    let other = member;
    // Each context has connections of its own, and the kernel chooses which process takes one.
    for (let tries = 0; (await place(other)) === here && tries < 16; tries++) {
      if (other !== member) {
        visitors.splice(visitors.indexOf(other), 1);
        await other.close();
      }
      other = await open('member', { state: await member.page.context().storageState() });
    }
    assert.equal(workers.size, 2, `both browsers are served by ${here}`);

    await cardOf(column(owner.page, 'todo'), 'Invoice').focus();
    await owner.page.keyboard.press('Shift+ArrowRight');
    await cardOf(column(other.page, 'doing'), 'Invoice').waitFor({ timeout: 5_000 });
    await drag(other.page, cardOf(column(other.page, 'doing'), 'Invoice'), column(other.page, 'done'));
    await cardOf(column(owner.page, 'done'), 'Invoice').waitFor({ timeout: 5_000 });

    await cardOf(owner.page.locator('main'), 'Refund').click();
    const panel = owner.page.getByRole('complementary', { name: 'Item SUP-4' });
    await panel.getByText('Called back').waitFor();
    await other.page.goto(`https://northwind.localhost:${freehold.port}/i/SUP-4`);
    await other.page.getByLabel('New comment on SUP-4').fill('Seen from the other side.');
    await other.page.keyboard.press('Control+Enter');
    await panel.getByText('Seen from the other side.').waitFor({ timeout: 5_000 });
    await screenshot(owner.page, '12-live-update');
    if (other !== member) {
      visitors.splice(visitors.indexOf(other), 1);
      await other.close();
    }
  });

  await step('a changed role takes effect on the very next request', async () => {
    const asMember = (path: string) =>
      member.page.evaluate(async (url) => {
        const answer = await fetch(url, { headers: { accept: 'application/json' } });
        return { status: answer.status, body: await answer.json() };
      }, path);
    assert.equal((await asMember('/-/api/invitations')).status, 403);
    const { page } = owner;
    const setRole = async (role: string) => {
      await page.getByRole('button', { name: `Actions for ${ben.name}` }).click();
      await page.getByRole('menuitem', { name: `Make ${role}` }).click();
      await page
        .getByRole('dialog')
        .getByRole('button', { name: `Make ${role}` })
        .click();
      await page.getByRole('row', { name: new RegExp(`${ben.name}.*${role}`, 'i') }).waitFor();
    };
    await page.goto(`https://northwind.localhost:${freehold.port}/-/people`);
    // Other rights come with another session: the old one is at its end before the next request.
    await setRole('admin');
    assert.equal((await asMember('/-/api/session')).status, 401);
    await member.page.goto(`https://northwind.localhost:${freehold.port}/-/sign-in`);
    await member.signIn(ben);
    assert.equal((await asMember('/-/api/session')).body.user.role, 'admin');
    assert.equal((await asMember('/-/api/invitations')).status, 200);
    await setRole('member');
    assert.equal((await asMember('/-/api/invitations')).status, 401);
    await member.page.goto(`https://northwind.localhost:${freehold.port}/-/sign-in`);
    await member.signIn(ben);
    const refused = await asMember('/-/api/invitations');
    assert.deepEqual([refused.status, refused.body.code], [403, 'FH_ROLE_REQUIRED']);
  });

  await step('signing out everywhere ends the sessions of every device', async () => {
    const phone = await open('phone', { width: 390 });
    await phone.page.goto(`https://northwind.localhost:${freehold.port}/`);
    await phone.signIn(ada);
    const { page } = owner;
    await page.goto(`https://northwind.localhost:${freehold.port}/-/account`);
    const devices = page.getByRole('table', { name: 'Devices' });
    await devices.getByText('This device').waitFor();
    assert.equal(await devices.locator('tbody tr').count(), 2);
    await screenshot(page, '13-account');
    await page.getByRole('button', { name: 'Sign out everywhere' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere' }).click();
    await page.waitForURL('**/-/signed-out');
    await phone.page.goto(`https://northwind.localhost:${freehold.port}/`);
    await phone.page.waitForURL('**/-/sign-in**');
    await phone.close();
    visitors.pop();
    const still = await member.page.evaluate(async () => (await fetch('/-/api/session')).status);
    assert.equal(still, 200, 'the sessions of others go on');
    await page.goto(`https://northwind.localhost:${freehold.port}/-/sign-in`);
    await owner.signIn(ada);
  });

  await step('the console closes a tenant and opens it again', async () => {
    const { page } = staff;
    await page.getByRole('link', { name: 'northwind', exact: true }).click();
    await page.getByRole('heading', { name: 'Northwind Trading', level: 1 }).waitFor();
    await act(page, 'Suspend');
    const dialog = page.getByRole('dialog', { name: 'Suspend northwind' });
    assert.equal(await dialog.getByRole('button', { name: 'Suspend tenant' }).isDisabled(), true);
    await dialog.getByLabel('Reason').fill('bill of March');
    await dialog.getByLabel(/Type northwind to confirm/).fill('northwind');
    await dialog.getByRole('button', { name: 'Suspend tenant' }).click();
    await page.getByText('Its users see a page that says so').waitFor();
    await screenshot(page, '14-console-suspended');

    await owner.page.goto(`https://northwind.localhost:${freehold.port}/`);
    await owner.page.getByRole('heading', { name: /suspended/i }).waitFor();
    await screenshot(owner.page, '15-suspended-page');
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('dialog', { name: 'Resume northwind' }).getByRole('button', { name: 'Resume tenant' }).click();
    await page.getByText('Suspended', { exact: true }).waitFor({ state: 'detached' });
    await page.getByText('Active', { exact: true }).first().waitFor();
    await owner.page.reload();
    await owner.page.getByRole('navigation', { name: 'Main' }).waitFor();
  });

  await step('it renames, clones and exports', async () => {
    const { page } = staff;
    await act(page, 'Rename');
    const rename = page.getByRole('dialog', { name: 'Rename northwind' });
    await rename.getByLabel('New name').fill('northwind-trading');
    await rename.getByRole('button', { name: 'Rename tenant' }).click();
    await page.getByRole('link', { name: `northwind-trading.localhost:${freehold.port}` }).waitFor();
    await owner.page.goto(`https://northwind.localhost:${freehold.port}/`);
    await owner.page.getByText('There is nothing at this address').waitFor();
    await screenshot(owner.page, '16-unknown-address');
    await owner.page.goto(`https://northwind-trading.localhost:${freehold.port}/`);
    await owner.page.waitForURL('**/-/sign-in**');
    await owner.signIn(ada);
    await owner.page.getByText('Northwind Trading').first().waitFor();

    await act(page, 'Clone');
    const clone = page.getByRole('dialog', { name: 'Clone northwind-trading' });
    await clone.getByLabel('Name of the copy').fill('northwind-copy');
    await clone.getByRole('button', { name: 'Clone tenant' }).click();
    await page.getByRole('link', { name: 'Go to northwind-copy' }).waitFor({ timeout: 30_000 });
    const copy = await open('copy');
    await copy.page.goto(`https://northwind-copy.localhost:${freehold.port}/p/SUP/board`);
    await copy.page.waitForURL('**/-/sign-in**');
    await copy.signIn(ada);
    await cardOf(copy.page.locator('main'), 'Refund').waitFor();
    await copy.close();
    visitors.pop();

    await act(page, 'Export');
    await page
      .getByRole('dialog', { name: 'Export northwind-trading' })
      .getByRole('button', { name: 'Export tenant' })
      .click();
    const download = page.waitForEvent('download', { timeout: 30_000 });
    await page.getByRole('link', { name: /Download the archive/ }).click({ timeout: 30_000 });
    const archive = join(downloads, 'northwind.tar');
    await (await download).saveAs(archive);
    await screenshot(page, '17-export');
    assert.match(readFileSync(archive).subarray(0, 512).toString('latin1'), /ustar/);
  });

  await step('it deletes, and hands out a certificate', async () => {
    const { page } = staff;
    await page.getByRole('link', { name: 'Tenants' }).first().click();
    await page.getByRole('link', { name: 'northwind-copy' }).click();
    await act(page, 'Delete');
    const dialog = page.getByRole('dialog', { name: 'Delete northwind-copy' });
    await dialog.getByLabel(/Type northwind-copy to confirm/).fill('northwind');
    assert.equal(await dialog.getByRole('button', { name: /Delete tenant/ }).isDisabled(), true);
    await dialog.getByLabel(/Type northwind-copy to confirm/).fill('northwind-copy');
    await screenshot(page, '18-delete-asks');
    await dialog.getByRole('button', { name: /Delete tenant/ }).click();
    await page.getByRole('link', { name: 'View the deletion certificate' }).click({ timeout: 30_000 });
    await page.getByRole('heading', { name: 'Deletion certificate' }).waitFor();
    await page.getByText('Destroyed', { exact: true }).first().waitFor();
    await screenshot(page, '19-deletion-certificate');
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download with its signature' }).click();
    const path = join(downloads, 'certificate.json');
    await (await download).saveAs(path);
    const certificate = JSON.parse(readFileSync(path, 'utf8'));
    assert.equal(certificate.document.tenant.name, 'northwind-copy');
    assert.equal(certificate.document.destroyed.key.destroyed, true);

    await owner.page.goto(`https://northwind-copy.localhost:${freehold.port}/`);
    await owner.page.getByText('This account was deleted').waitFor();
    await screenshot(owner.page, '20-deleted-page');
  });

  await step('the audit log tells all of it', async () => {
    const { page } = staff;
    await page.getByRole('link', { name: 'Audit log' }).first().click();
    const log = page.getByRole('table', { name: 'Audit log' });
    await log.waitFor();
    for (const event of [
      'staff.created',
      'tenant.created',
      'tenant.suspended',
      'tenant.resumed',
      'tenant.renamed',
      'tenant.cloned',
      'tenant.exported',
      'tenant.deleted',
    ])
      await log.getByText(event).first().waitFor();
    await screenshot(page, '21-audit-log');
    await owner.page.goto(`https://northwind-trading.localhost:${freehold.port}/-/security-log`);
    for (const words of ['Signed out everywhere', 'Changed a role', 'Accepted an invitation', 'Sign-in refused'])
      await owner.page.getByRole('table').getByText(words).first().waitFor();
    await screenshot(owner.page, '22-security-log');
    await page.goto(`${freehold.ready.console}/health`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await screenshot(page, '23-health');
  });

  await step('no page made an error of its own', async () => {
    const problems = [staff, owner, member].flatMap(({ name, problems }) => problems.map((line) => `${name}: ${line}`));
    assert.deepEqual(problems, []);
  });

  await step(
    'SIGTERM ends everything in order, the next start is warm and knows it all, Ctrl-C ends that',
    async () => {
      assert.equal(await freehold.stop({ keepData: true }), 0);
      assert.equal(existsSync(join(freehold.dataDir, 'run', 'control', 'command.sock')), false);
      const startedAt = performance.now();
      freehold = await Freehold.start({ dataDir: freehold.dataDir });
      const seconds = (performance.now() - startedAt) / 1000;
      t.diagnostic(`second start: ${seconds.toFixed(1)} s`);
      assert.equal(freehold.ready.setupUrl, undefined, 'there is staff already');
      const api = freehold.tenantClient('northwind-trading');
      const { email, password } = ada;
      assert.equal((await api.send('POST', '/-/api/session', { email, password })).status, 201);
      const board = await api.get('/api/projects/SUP/board');
      assert.equal(board.json.columns.flatMap((each: { items: unknown[] }) => each.items).length, 4);
      await api.close();
      assert.equal(await stopChild(freehold.child, 'SIGINT', 60_000), 0);
    },
  );
});

function column(page: Page, state: string): Locator {
  return page.locator(`[data-column=${state}]`);
}

function cardOf(where: Locator, title: string): Locator {
  return where.locator('[data-card]', { hasText: title });
}

/** As a hand does it: press, set off, go there in steps, rest, let go. */
async function drag(page: Page, card: Locator, target: Locator): Promise<void> {
  const from = (await card.boundingBox())!;
  const to = (await target.boundingBox())!;
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(from.x + from.width / 2 + 12, from.y + from.height / 2 + 4, { steps: 3 });
  await page.mouse.move(to.x + to.width / 2, to.y + to.height / 2, { steps: 12 });
  await page.mouse.up();
}

async function choose(dialog: Locator, page: Page, field: RegExp, option: string): Promise<void> {
  await dialog.getByRole('button', { name: field }).click();
  await page.getByRole('option', { name: option }).click();
}

/** An action of the tenant's page in the console. */
async function act(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name }).click();
}
