/** The console's way from a backup to a tenant as it was: back up now, dump now, choose the second on the slider, restore beside, open it, put it in place. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { type Client, Freehold, openBrowser, screenshot, until } from './harness.ts';
import { type Person, Visitor } from './visitor.ts';

const olive: Person = {
  name: 'Olive Staff',
  email: 'olive@operator.example',
  password: 'copper lantern under the ninth bridge',
};
const ada = { name: 'Ada Northrop', email: 'ada@example.com', password: 'seven slow ferries at low tide' };
/** Of a busy machine. */
const patiently = { timeout: 120_000 };

describe('backups in the console', { timeout: 1_200_000 }, () => {
  let freehold: Freehold;
  let browser: Browser;
  let staff: Visitor;
  let page: Page;
  const clients: Client[] = [];
  /** A whole second between two items, in milliseconds since 1970. */
  let moment: number;

  before(async () => {
    freehold = await Freehold.start();
    const tenant = await freehold.createTenant('northwind', ada.email);
    clients.push(await freehold.signUp(tenant, ada.password));
    const made = await clients[0]!.send('POST', '/api/projects', { key: 'SUP', name: 'Support' });
    assert.equal(made.status, 201, made.text);
    await addItem('kept');
    browser = await openBrowser();
    staff = await Visitor.open(browser, 'staff');
    page = staff.page;
    page.setDefaultTimeout(180_000);
    await staff.setUpStaff(freehold.ready.setupUrl!, olive);
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await browser?.close();
    await freehold?.stop();
  });

  const addItem = async (title: string) => {
    const made = await clients[0]!.send('POST', '/api/items', { project: 'SUP', title });
    assert.equal(made.status, 201, made.text);
  };

  it('takes a base backup at a press, and shows how far each region is', async () => {
    await page.getByRole('link', { name: 'Backups', exact: true }).click();
    await page.getByRole('button', { name: 'Back up now' }).click();
    await page.getByText('The base backup is complete').waitFor(patiently);
    await page.getByRole('table', { name: 'Base backups' }).getByText('a, b').first().waitFor();
    for (const region of ['a', 'b']) {
      const chart = page.getByRole('group', { name: new RegExp(`^Region ${region}: now`) });
      await chart.focus();
      await page.keyboard.press('ArrowLeft');
      await page.getByText(/^.+ at \d+ \w+ \d{4}, \d\d:\d\d:\d\d/).waitFor();
    }
    await screenshot(page, 'console-backups');
  });

  it('dumps a tenant at a press, restores the dump to see that it does, and opens its dumps with the keyboard', async () => {
    await page.getByRole('link', { name: 'Dumps', exact: true }).click();
    await page.getByRole('button', { name: 'Dump now: northwind' }).click();
    await page.getByText('The dump is made').waitFor(patiently);
    const table = page.getByRole('table', { name: 'Dumps of tenants' });
    await table.getByText('Sound', { exact: true }).waitFor(patiently);
    await table.getByText('a, b').waitFor();
    await screenshot(page, 'console-dumps');
    const row = table.getByRole('row').nth(1);
    await row.focus();
    await row.press('Enter');
    await page.getByRole('heading', { name: 'Dumps of northwind', level: 1 }).waitFor();
    const kept = page.getByRole('table', { name: 'Dumps of northwind' });
    await kept.getByText('Restores', { exact: true }).first().waitFor();
  });

  it('goes back to a second that was chosen on the slider, with the keyboard, beside the tenant', async () => {
    moment = Math.ceil(Date.now() / 1_000 + 1) * 1_000;
    await until('the second to be over', async () => Date.now() > moment + 100);
    await addItem('too late');
    await page.goto(`${freehold.ready.console}/tenants/northwind`);
    await page.getByRole('link', { name: 'Restore', exact: true }).click();
    const slider = page.getByRole('slider', { name: 'Moment to restore' });
    await slider.focus();
    await until(
      'the handle to be where it should',
      async () => {
        const seconds = Number(await slider.getAttribute('aria-valuenow')) - moment / 1_000;
        if (seconds === 0) return true;
        const key = seconds > 0 ? 'ArrowLeft' : 'ArrowRight';
        await slider.press(Math.abs(seconds) >= 60 ? `Shift+${key}` : key);
        return false;
      },
      120_000,
    );
    await page.getByText('Can be restored', { exact: true }).waitFor();
    assert.equal(await page.getByLabel('Name of the new tenant').inputValue(), 'northwind-restored');
    await screenshot(page, 'console-restore');
    await page.getByRole('button', { name: 'Restore as northwind-restored' }).click();
    const started = page.getByRole('heading', { name: 'Restore as northwind-restored', level: 1 });
    await staff.confirmStepUpIfAsked(olive, started);
    await started.waitFor();
    const link = page.getByRole('link', { name: /^Open northwind-restored/ });
    await link.waitFor(patiently);

    const owner = await Visitor.open(browser, 'owner');
    await owner.page.goto(`${await link.getAttribute('href')}/p/SUP/board`);
    await owner.page.waitForURL('**/-/sign-in**');
    await owner.signIn(ada);
    await owner.page.getByText('kept', { exact: true }).first().waitFor();
    assert.equal(await owner.page.getByText('too late').count(), 0);
    assert.deepEqual(owner.problems, []);
    await owner.close();
    assert.deepEqual(await titles(clients[0]!), ['kept', 'too late'], 'the old one is as it was');
  });

  it('puts it in the place of the old one, and says how to undo that', async () => {
    await page.getByRole('button', { name: 'Put it in the place of northwind' }).click();
    const dialog = page.getByRole('dialog', { name: 'Put it in the place of northwind' });
    assert.equal(await dialog.getByRole('button', { name: 'Exchange the names' }).isDisabled(), true);
    await dialog.getByLabel(/Type northwind to confirm/).fill('northwind');
    await dialog.getByRole('button', { name: 'Exchange the names' }).click();
    await staff.confirmStepUpIfAsked(olive, page.getByRole('button', { name: 'Exchange the names again' }));
    await page.getByRole('button', { name: 'Exchange the names again' }).waitFor();
    const client = freehold.tenantClient('northwind');
    clients.push(client);
    assert.equal(
      (await client.send('POST', '/-/api/session', { email: ada.email, password: ada.password })).status,
      201,
    );
    assert.deepEqual(await titles(client), ['kept']);
    await page.goto(`${freehold.ready.console}/tenants/northwind/restore`);
    const renamed = /^Choose the moment before: Renamed from northwind-restored to northwind/;
    await page.getByRole('button', { name: renamed }).click();
    await page.getByRole('button', { name: renamed, pressed: true }).waitFor();
    await page.getByText('Can be restored', { exact: true }).waitFor();
    assert.deepEqual(staff.problems, []);
  });
});

async function titles(client: Client): Promise<string[]> {
  const { json } = await client.get('/api/items?project=SUP&sort=key');
  return json.items.map((item: { title: string }) => item.title);
}
