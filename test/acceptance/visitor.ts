/** A person before a browser: one window of a profile of its own, and the ways that people take through the pages. */
import type { Browser, BrowserContext, Locator, Page, Request } from 'playwright-core';
import { Authenticator } from './authenticator.ts';
import { until } from './harness.ts';

export interface Person {
  readonly name: string;
  readonly email: string;
  readonly password: string;
}

export class Visitor {
  readonly name: string;
  readonly page: Page;
  /** Exceptions, errors on the console and violations of the content security policy; a story ends with none. */
  readonly problems: string[] = [];
  /** Addresses that were answered with an error. */
  readonly refusals: string[] = [];
  /** Of a member of staff, not used yet: unlike codes of the app they do not pass with time. */
  readonly recoveryCodes: string[] = [];

  readonly #underWay = new Set<Request>();

  private constructor(name: string, page: Page) {
    this.name = name;
    this.page = page;
    page.on('pageerror', (error) => this.problems.push(`exception: ${error.message}`));
    page.on('console', (message) => {
      // The browser's own line about an answer with an error status; the answers themselves are in `refusals`.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        this.problems.push(`console: ${message.text()}`);
    });
    page.on('request', (request) => {
      if (!new URL(request.url()).pathname.endsWith('/events')) this.#underWay.add(request);
    });
    for (const event of ['requestfinished', 'requestfailed'] as const)
      page.on(event as 'requestfinished', (request) => void this.#underWay.delete(request));
    page.on('response', (response) => {
      if (response.status() >= 400) this.refusals.push(`${response.status()} ${new URL(response.url()).pathname}`);
    });
  }

  static async open(
    browser: Browser,
    name: string,
    options: {
      width?: number;
      height?: number;
      dark?: boolean;
      state?: Awaited<ReturnType<BrowserContext['storageState']>>;
    } = {},
  ): Promise<Visitor> {
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
      colorScheme: options.dark ? 'dark' : 'light',
      locale: 'en-GB',
      reducedMotion: 'reduce',
      permissions: ['clipboard-read', 'clipboard-write'],
      ...(options.state ? { storageState: options.state } : {}),
    });
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`content security policy: ${event.violatedDirective} refused ${event.blockedURI}`);
      });
    });
    context.setDefaultTimeout(120_000);
    return new Visitor(name, await context.newPage());
  }

  /** Waits until the page has what it asked for: nothing under way but the stream of events, nothing drawn in place of what is to come. */
  async settle(): Promise<void> {
    const { page } = this;
    await page.getByRole('main').waitFor();
    await until('the page to be at rest', async () => {
      if (this.#underWay.size > 0 || (await page.getByRole('main').textContent()) === '') return false;
      return (await page.locator('.mantine-Skeleton-root, [data-loading=true]').count()) === 0;
    });
  }

  close(): Promise<void> {
    return this.page.context().close();
  }

  /** Takes the set-up link of the console and sets up the app; ends in the console. */
  async setUpStaff(setupUrl: string, person: Person): Promise<void> {
    const { page } = this;
    await page.goto(setupUrl);
    await page.getByLabel('Your name').fill(person.name);
    await page.getByLabel('E-mail').fill(person.email);
    await page.getByLabel('Choose a password').fill(person.password);
    await page.getByRole('button', { name: 'Continue' }).click();
    await this.enrolStaff();
    await page.getByRole('heading', { name: 'Tenants', level: 1 }).waitFor();
  }

  /** From the page that says that a second factor must be set up, to whatever comes after it. `look`: at each page on the way. */
  async enrolStaff(look: (name: string) => Promise<void> = async () => {}): Promise<void> {
    const { page } = this;
    await page.getByRole('heading', { name: 'Set up your second factor' }).waitFor();
    await look('staff-second-factor-why');
    await page.getByRole('button', { name: 'Continue' }).click();
    const app = new Authenticator(await this.readLink(/^[A-Z2-7]{32}$/));
    await look('staff-second-factor-app');
    const codes = page.getByRole('list', { name: 'Recovery codes' });
    await until('a code to be taken before it is over', async () => {
      await page.getByLabel('Code from your app').fill(app.code());
      const answer = page.waitForResponse((response) => response.url().endsWith('/api/second-factor/totp/confirm'));
      await page.getByRole('button', { name: 'Turn on' }).click();
      return (await answer).ok();
    });
    await codes.waitFor();
    await look('staff-recovery-codes');
    this.recoveryCodes.splice(0, this.recoveryCodes.length, ...(await codes.getByRole('listitem').allTextContents()));
    await page.getByRole('button', { name: 'I have kept them' }).click();
  }

  /** Answers the dialog that asks a member of staff who they are, before a dangerous act. */
  async confirmStepUp(person: Person): Promise<void> {
    const dialog = this.page.getByRole('dialog', { name: 'Confirm that it is you' });
    await dialog.getByLabel('Code').waitFor();
    const password = dialog.getByRole('textbox', { name: 'Your password' });
    if (await password.isVisible()) await password.fill(person.password);
    await dialog.getByLabel('Code').fill(this.recoveryCodes.pop()!);
    await dialog.getByRole('button', { name: 'Confirm' }).click();
    await dialog.waitFor({ state: 'detached' });
  }

  /** The same where it may not be asked, because it was confirmed a moment ago. `done`: what the act shows. */
  async confirmStepUpIfAsked(person: Person, done: Locator | Promise<unknown>): Promise<void> {
    const dialog = this.page.getByRole('dialog', { name: 'Confirm that it is you' });
    await Promise.race([dialog.waitFor(), 'first' in done ? done.first().waitFor() : done]);
    if (await dialog.isVisible()) await this.confirmStepUp(person);
  }

  /** Takes an invitation to a tenant; ends on the app's first page. */
  async acceptInvitation(url: string, person: Pick<Person, 'name' | 'password'>): Promise<void> {
    const { page } = this;
    await page.goto(url);
    await page.getByLabel('Your name').fill(person.name);
    await page.getByLabel('Choose a password').fill(person.password);
    await page.getByRole('button', { name: /^Join / }).click();
    await page.getByRole('banner').waitFor();
  }

  /** From the sign-in page that is open. */
  async signIn(person: Pick<Person, 'email' | 'password'>): Promise<void> {
    const { page } = this;
    await page.getByLabel('E-mail').fill(person.email);
    await page.getByLabel('Password', { exact: true }).fill(person.password);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('banner').waitFor();
  }

  /** The value of a line that can be copied, for example an invitation link. */
  async readLink(pattern: RegExp): Promise<string> {
    const line = this.page.getByText(pattern).first();
    await line.waitFor();
    const found = pattern.exec((await line.textContent()) ?? '');
    if (!found) throw new Error(`no text matches ${pattern}`);
    return found[0];
  }
}
