/**
 * Every page, wide and narrow, light and dark: a title, one heading, no scrolling sideways, names and contrast that everybody can use,
 * nothing on the console, no violation of the content security policy. And the way in by keyboard alone.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser, BrowserContext } from 'playwright-core';
import { readAppLog } from './app-log-story.ts';
import { Authenticator, readQrCode } from './authenticator.ts';
import { findSeriousViolations } from './axe.ts';
import { Client, Freehold, openBrowser, repository, screenshot, until } from './harness.ts';
import { audit, isIn, rest } from './page-audit.ts';
import { usePasskeys } from './passkey-story.ts';
import { keepTokens } from './token-story.ts';
import { type Person, Visitor } from './visitor.ts';

const olive: Person = {
  name: 'Olive Staff',
  email: 'olive@operator.example',
  password: 'copper lantern under the ninth bridge',
};

type State = Awaited<ReturnType<BrowserContext['storageState']>>;

interface PageCase {
  readonly name: string;
  readonly url: string;
  readonly as: 'nobody' | 'user' | 'staff';
  /** Answers with errors that the page expects. */
  readonly expects?: RegExp;
}

describe('pages', { timeout: 3_600_000 }, () => {
  let freehold: Freehold;
  let browser: Browser;
  const states: Record<PageCase['as'], State | undefined> = { nobody: undefined, user: undefined, staff: undefined };
  let cases: PageCase[];
  let demo: { url: string; email: string; password: string };
  const recoveryCodesLeft: string[] = [];

  before(async () => {
    freehold = await Freehold.start({ args: ['--demo'] });
    browser = await openBrowser();
    demo = freehold.ready.demo!.find(({ tenant }) => tenant === 'acme')!;
    const visitor = await Visitor.open(browser, 'pages');
    await visitor.setUpStaff(freehold.ready.setupUrl!, olive);
    states.staff = await visitor.page.context().storageState();
    await visitor.page.goto(`${demo.url}/`);
    await visitor.signIn(demo);
    states.user = await visitor.page.context().storageState();
    const { recoveryCodes } = visitor;
    await visitor.close();
    // An app that is a process.
    const added = await freehold.run('app', 'add', join(repository, 'test/apps/notes'));
    assert.equal(added.code, 0, added.stderr);
    const made = await freehold.run('tenant', 'create', 'wiki', '--app', 'notes', '--admin-email', olive.email);
    assert.equal(made.code, 0, made.stderr);
    recoveryCodesLeft.push(...recoveryCodes);
    cases = await listPages();
  });
  after(async () => {
    await browser?.close();
    await freehold?.stop();
  });

  const listPages = async (): Promise<PageCase[]> => {
    const client = new Client(demo.url, readFileSync(freehold.ready.ca, 'utf8'));
    await client.send('POST', '/-/api/session', { email: demo.email, password: demo.password });
    const { projects } = (await client.get('/api/projects')).json;
    const { items } = (await client.get('/api/items?limit=1')).json;
    // So that the page of tokens has a row.
    await client.send('POST', '/-/api/tokens', { name: 'Nightly report', scope: 'read', password: demo.password });
    const invited = await client.send('POST', '/-/api/invitations', { email: 'new@acme.example', role: 'member' });
    await client.close();
    const { key } = projects[0];
    const item = items[0].key;
    const tenants = JSON.parse((await freehold.run('tenant', 'list', '--json')).stdout).tenants;
    const suspended = tenants.find(({ name }: { name: string }) => name === 'globex');
    const acme = tenants.find(({ name }: { name: string }) => name === 'acme');
    await freehold.run('tenant', 'suspend', 'globex');
    const copy = JSON.parse((await freehold.run('tenant', 'clone', 'acme', 'acme-copy', '--json')).stdout);
    const deleted = await freehold.run('tenant', 'delete', copy.name, '--confirm', copy.name, '--json');
    const { certificateId } = JSON.parse(deleted.stdout);
    const { operations } = JSON.parse((await freehold.run('operation', 'list', '--json')).stdout);
    const at = (path: string) => `${demo.url}${path}`;
    const console = (path: string) => `${freehold.ready.console}${path}`;
    return [
      { name: 'sign-in', url: at('/-/sign-in'), as: 'nobody', expects: /^401/ },
      { name: 'signed-out', url: at('/-/signed-out'), as: 'nobody' },
      { name: 'forgot-password', url: at('/-/forgot-password'), as: 'nobody' },
      { name: 'reset-password', url: at('/-/reset-password#token=x'), as: 'nobody', expects: /^404/ },
      { name: 'invitation', url: invited.json.url, as: 'nobody' },
      { name: 'invitation-used', url: at('/-/invitations/gone'), as: 'nobody', expects: /^404/ },
      { name: 'suspended', url: suspended.url, as: 'nobody', expects: /^503/ },
      { name: 'unknown-path', url: at('/nothing/here'), as: 'user' },
      { name: 'account', url: at('/-/account'), as: 'user' },
      { name: 'api-tokens', url: at('/-/tokens'), as: 'user' },
      { name: 'people', url: at('/-/people'), as: 'user' },
      { name: 'account-backups', url: at('/-/backups'), as: 'user' },
      { name: 'provisioning', url: at('/-/provisioning'), as: 'user' },
      { name: 'security-log', url: at('/-/security-log'), as: 'user' },
      { name: 'desk-home', url: at('/'), as: 'user' },
      { name: 'desk-items', url: at('/items'), as: 'user' },
      { name: 'desk-projects', url: at('/projects'), as: 'user' },
      { name: 'desk-board', url: at(`/p/${key}/board`), as: 'user' },
      { name: 'desk-board-item', url: at(`/p/${key}/board?item=${item}`), as: 'user' },
      { name: 'desk-list', url: at(`/p/${key}/list`), as: 'user' },
      { name: 'desk-settings', url: at(`/p/${key}/settings`), as: 'user' },
      { name: 'desk-item', url: at(`/i/${item}`), as: 'user' },
      { name: 'desk-import', url: at('/import'), as: 'user' },
      { name: 'console-sign-in', url: console('/sign-in'), as: 'nobody', expects: /^401/ },
      { name: 'console-setup-incomplete', url: console('/setup'), as: 'nobody' },
      { name: 'console-tenants', url: console('/tenants'), as: 'staff' },
      { name: 'console-create', url: console('/tenants?create=true'), as: 'staff' },
      { name: 'console-tenant', url: console(`/tenants/${acme.tenantId}`), as: 'staff' },
      { name: 'console-app', url: console('/tenants/wiki/app'), as: 'staff' },
      { name: 'console-restore', url: console(`/tenants/${acme.tenantId}/restore`), as: 'staff' },
      { name: 'console-operations', url: console('/operations'), as: 'staff' },
      { name: 'console-operation', url: console(`/operations/${operations[0].operationId}`), as: 'staff' },
      { name: 'console-backups', url: console('/backups'), as: 'staff' },
      { name: 'console-dumps', url: console('/dumps'), as: 'staff' },
      { name: 'console-dumps-of', url: console(`/dumps/${acme.tenantId}`), as: 'staff' },
      { name: 'console-drills', url: console('/drills'), as: 'staff' },
      { name: 'console-your-sign-in', url: console('/your-sign-in'), as: 'staff' },
      { name: 'console-health', url: console('/health'), as: 'staff' },
      { name: 'console-mail', url: console('/mail'), as: 'staff' },
      { name: 'console-audit', url: console('/audit'), as: 'staff' },
      { name: 'console-certificate', url: console(`/certificates/${certificateId}`), as: 'staff' },
    ];
  };

  // Each page is loaded in one scheme and follows the system to the other one, as it does at dusk.
  for (const [width, height, ...schemes] of [
    [1280, 800, 'light', 'dark'],
    [360, 740, 'dark', 'light'],
  ] as const)
    it(`every page at ${width} pixels, ${schemes.join(' and ')}`, async (t) => {
      const faults: string[] = [];
      const visitors = new Map<PageCase['as'], Visitor>();
      const titles = new Map<string, string>();
      for (const { name, url, as, expects } of cases) {
        const visitor =
          visitors.get(as) ??
          (await Visitor.open(browser, as, {
            width,
            height,
            dark: schemes[0] === 'dark',
            ...(states[as] ? { state: states[as] } : {}),
          }));
        visitors.set(as, visitor);
        visitor.problems.length = 0;
        visitor.refusals.length = 0;
        await visitor.page.emulateMedia({ colorScheme: schemes[0] });
        await visitor.page.goto(url, { waitUntil: 'domcontentloaded' });
        for (const scheme of schemes) {
          await visitor.page.emulateMedia({ colorScheme: scheme });
          await visitor.settle();
          await rest(visitor.page, scheme);
          const found = await audit(visitor.page);
          await screenshot(visitor.page, join('pages', `${name}-${width}-${scheme}`));
          // Takes as long as all the rest; what depends on width and colours is looked at by our own audit.
          const isForAxe = width > 1_000 && scheme === 'light';
          const wrong = [
            ...(isForAxe ? await findSeriousViolations(visitor.page) : []),
            ...visitor.problems.splice(0),
            ...visitor.refusals.splice(0).filter((line) => !expects?.test(line)),
            ...found.faults,
            ...(found.title.trim() === '' ? ['no title'] : []),
            ...(found.headings === 1 ? [] : [`${found.headings} headings of the first level`]),
            ...(found.overflow > 0 ? [`${found.overflow} pixels wider than the window`] : []),
            ...(isIn(scheme, found.brightness) ? [] : [`not ${scheme}`]),
          ];
          faults.push(...wrong.map((line) => `${name}, ${scheme}: ${line}`));
          titles.set(name, found.title);
        }
      }
      for (const [as, visitor] of visitors) {
        // With the keys that the sessions have by now.
        if (states[as]) states[as] = await visitor.page.context().storageState();
        await visitor.close();
      }
      t.diagnostic([...titles].map(([name, title]) => `${name}: ${title}`).join(' | '));
      assert.deepEqual(faults, []);
    });

  it('the way in by keyboard alone, with the focus in sight at every stop', async () => {
    const visitor = await Visitor.open(browser, 'keyboard');
    const { page } = visitor;
    const focused = () =>
      page.evaluate(() => {
        const element = document.activeElement as HTMLInputElement;
        const style = getComputedStyle(element);
        // A field shows the focus on the box around it.
        const box = getComputedStyle(element.closest('[class*=Input-input]') ?? element);
        const inSight =
          (style.outlineStyle !== 'none' && Number.parseFloat(style.outlineWidth) >= 1) ||
          box.boxShadow !== 'none' ||
          box.outlineStyle !== 'none';
        return { name: element.name || element.getAttribute('aria-label') || element.textContent, inSight };
      });
    await page.goto(`${demo.url}/-/sign-in`);
    await page.getByLabel('E-mail').waitFor();
    assert.equal((await focused()).name, 'email', 'typing can begin at once');
    const stopAt = (name: string) =>
      until(`the focus to be in sight on ${name}`, async () => {
        const found = await focused();
        return found.name === name && found.inSight;
      });
    await stopAt('email');
    await page.keyboard.type(demo.email);
    await page.keyboard.press('Tab');
    await stopAt('password');
    await page.keyboard.type(demo.password);
    for (const name of ['Show or hide the password', 'Sign in']) {
      await page.keyboard.press('Tab');
      await stopAt(name);
    }
    await page.keyboard.press('Enter');
    await page.getByRole('banner').waitFor();
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.keyboard.press('Tab');
    await stopAt('Skip to content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'content');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('c');
    const dialog = page.getByRole('dialog', { name: 'New item' });
    await dialog.waitFor();
    assert.equal(await dialog.getByLabel('Title').evaluate((input) => input === document.activeElement), true);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.deepEqual(visitor.problems, []);
    await visitor.close();
  });

  it('the log of an app: opened with a second look at who asks, followed, searched, copied, by keyboard', async () => {
    const visitor = await Visitor.open(browser, 'log', { state: states.staff! });
    visitor.recoveryCodes.push(...recoveryCodesLeft);
    await readAppLog(freehold, visitor, olive);
    await visitor.close();
  });

  it('an API token: made with the keyboard, shown once, used by a program, revoked', async () => {
    await keepTokens(browser, demo, readFileSync(freehold.ready.ca, 'utf8'));
  });

  it('a passkey: added, asked for after the password, enough alone, shown in place of a code, removed', async () => {
    await usePasskeys(browser, demo);
  });

  it('a second factor: set up on the account page, asked for at the sign-in, and turned off', async () => {
    const faults: string[] = [];
    const look = async (visitor: Visitor, name: string) => {
      await visitor.settle();
      await screenshot(visitor.page, join('pages', name));
      const found = await audit(visitor.page);
      faults.push(
        ...(await findSeriousViolations(visitor.page)).map((line) => `${name}: ${line}`),
        ...visitor.problems.map((line) => `${name}: ${line}`),
        ...found.faults.map((line) => `${name}: ${line}`),
        ...(found.overflow > 0 ? [`${name}: ${found.overflow} pixels wider than the window`] : []),
      );
    };
    const enter = async (visitor: Visitor) => {
      const { page } = visitor;
      await page.goto(`${demo.url}/-/account`);
      await page.getByLabel('E-mail').fill(demo.email);
      await page.getByLabel('Password', { exact: true }).fill(demo.password);
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    };

    // At the width of a telephone, where the picture and the codes must fit.
    const first = await Visitor.open(browser, 'factor', { width: 360, height: 740 });
    await enter(first);
    await first.page.getByRole('button', { name: 'Set up' }).click();
    await first.page.getByLabel('Your password').fill(demo.password);
    await first.page.getByRole('button', { name: 'Continue' }).click();
    const picture = first.page.getByRole('img', { name: 'QR code for your authenticator app' });
    await picture.waitFor();
    await look(first, 'second-factor-set-up');
    const path = await picture.locator('path').getAttribute('d');
    const modules = Number((await picture.getAttribute('viewBox'))!.split(' ')[2]);
    const address = new URL(readQrCode(path!, modules));
    const key = await first.readLink(/^[A-Z2-7]{32}$/);
    assert.equal(address.searchParams.get('secret'), key);
    assert.ok(decodeURIComponent(address.pathname).endsWith(`:${demo.email}`));
    const app = new Authenticator(key);
    await first.page.getByLabel('Code from your app').fill(app.wrongCode());
    await first.page.getByRole('button', { name: 'Turn on' }).click();
    await first.page.getByText('This code is not right.').waitFor();
    await first.page.getByLabel('Code from your app').fill(app.code());
    await first.page.keyboard.press('Enter');
    const list = first.page.getByRole('list', { name: 'Recovery codes' });
    await list.waitFor();
    const recoveryCodes = await list.getByRole('listitem').allTextContents();
    assert.equal(new Set(recoveryCodes).size, 10);
    await look(first, 'second-factor-recovery-codes');
    const [download] = await Promise.all([
      first.page.waitForEvent('download'),
      first.page.getByRole('button', { name: 'Download codes' }).click(),
    ]);
    const file = readFileSync(await download.path(), 'utf8');
    for (const code of recoveryCodes) assert.ok(file.includes(code));
    await first.page.getByRole('button', { name: 'I have kept them' }).click();
    await first.page.getByText('10 recovery codes left').waitFor();
    await look(first, 'second-factor-on');

    const second = await Visitor.open(browser, 'code');
    await enter(second);
    await second.page.getByRole('heading', { name: 'Enter your code' }).waitFor();
    await look(second, 'sign-in-code');
    // Reloaded: it still waits.
    await second.page.reload();
    const field = second.page.getByLabel('Code from your app');
    await field.waitFor();
    assert.deepEqual(
      [await field.getAttribute('autocomplete'), await field.getAttribute('inputmode')],
      ['one-time-code', 'numeric'],
    );
    await until('the field to have the focus', () => field.evaluate((input) => input === document.activeElement));
    await second.page.keyboard.type(app.wrongCode());
    await second.page.keyboard.press('Enter');
    await second.page.getByText('This code is not right.').waitFor();
    await field.fill(app.code());
    await second.page.keyboard.press('Enter');
    await second.page.getByRole('heading', { name: 'Account', level: 1 }).waitFor();

    const third = await Visitor.open(browser, 'recovery');
    await enter(third);
    await third.page.getByRole('button', { name: 'Use a recovery code' }).click();
    await third.page.getByLabel('Recovery code').fill(recoveryCodes[0]!);
    await third.page.getByRole('button', { name: 'Sign in' }).click();
    await third.page.getByText('9 recovery codes left').waitFor();
    const choose = async (label: string, code: string) => {
      await third.page.goto(`${demo.url}/-/people`);
      await third.page.getByRole('button', { name: 'Change' }).click();
      await third.page.getByLabel(label).check();
      await third.page.getByLabel('Your password').fill(demo.password);
      await third.page.getByLabel('Code', { exact: true }).fill(code);
      await look(third, 'second-factor-policy');
      await third.page.getByRole('button', { name: 'Save' }).click();
      await third.page.getByText(`A second factor is asked of: ${label.toLowerCase()}.`).waitFor();
    };
    const turnOff = async (code: string) => {
      await third.page.goto(`${demo.url}/-/account`);
      await third.page.getByRole('button', { name: 'Turn off' }).click();
      await third.page.getByLabel('Your password').fill(demo.password);
      await third.page.getByLabel('Code', { exact: true }).fill(code);
      await look(third, 'second-factor-turn-off');
      await third.page.getByRole('button', { name: 'Turn off' }).click();
    };
    await choose('Everyone', recoveryCodes[2]!);
    await turnOff(recoveryCodes[1]!);
    // Whoever must have one and turned it off comes to nothing but a new one, from the page that is open and from the app alike.
    await third.page.getByRole('heading', { name: 'Set up a second factor', level: 1 }).waitFor();
    await third.page.goto(`${demo.url}/items?x=1`);
    await third.page.getByRole('heading', { name: 'Set up a second factor', level: 1 }).waitFor();
    assert.equal(new URL(third.page.url()).search, `?next=${encodeURIComponent('/items?x=1')}`);
    await look(third, 'second-factor-required');
    await third.page.getByRole('button', { name: 'Set up' }).click();
    await third.page.getByLabel('Your password').fill(demo.password);
    await third.page.getByRole('button', { name: 'Continue' }).click();
    const other = new Authenticator(await third.readLink(/^[A-Z2-7]{32}$/));
    await third.page.getByLabel('Code from your app').fill(other.code());
    await third.page.getByRole('button', { name: 'Turn on' }).click();
    const renewed = third.page.getByRole('list', { name: 'Recovery codes' });
    await renewed.waitFor();
    const fresh = await renewed.getByRole('listitem').allTextContents();
    await third.page.getByRole('button', { name: 'I have kept them' }).click();
    await third.page.waitForURL(`${demo.url}/items?x=1`);
    await choose('Nobody', fresh[1]!);
    await turnOff(fresh[0]!);
    await third.page.getByText('Your password is all that it takes to sign in.').waitFor();
    assert.deepEqual(faults, []);
    for (const visitor of [first, second, third]) await visitor.close();
  });
});
