/** A team brings the tickets of its old system along: 8,469 with texts of several lines, through the page, and the way back. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { type Client, Freehold, openBrowser, screenshot } from './harness.ts';
import { createSteps } from './story.ts';
import { makeTickets, readTickets, ticketCount, ticketHeader } from './tickets.ts';
import { Visitor } from './visitor.ts';

const ada = { email: 'ada@northwind.example', password: 'seven herons fishing before daylight' };

test('tickets of another system', { timeout: 1_200_000 }, async (t) => {
  const { csv, origin } = readTickets();
  t.diagnostic(`${origin}: ${csv.length} bytes`);
  let freehold!: Freehold;
  let browser!: Browser;
  let client!: Client;
  let visitor!: Visitor;
  t.after(async () => {
    await browser?.close();
    await client?.close();
    await freehold?.stop();
  });
  const step = createSteps(t, () => (visitor ? [visitor] : []));
  const at = (path: string) => `https://northwind.localhost:${freehold.port}${path}`;

  await step('an administrator opens the import page', async () => {
    freehold = await Freehold.start();
    client = await freehold.signUp(await freehold.createTenant('northwind', ada.email), ada.password);
    browser = await openBrowser();
    visitor = await Visitor.open(browser, 'importer');
    await visitor.page.goto(at('/import'));
    await visitor.signIn(ada);
    await visitor.page.getByText('No imports yet').waitFor();
    await screenshot(visitor.page, '30-import');
  });

  await step('the file is uploaded, and its columns are guessed', async () => {
    const { page } = visitor;
    await upload(page, 'customer-support-tickets.csv', csv);
    await page.getByText('8,469 rows').first().waitFor();
    const becomes = async (column: string) =>
      page.getByLabel(`${column} becomes`, { exact: true }).evaluate((select: HTMLSelectElement) => select.value);
    assert.deepEqual(
      await Promise.all(['Ticket Subject', 'Ticket Description', 'Ticket Status', 'Ticket Priority'].map(becomes)),
      ['title', 'description', 'state', 'priority'],
    );
    await page.getByLabel('“Pending Customer Response” becomes').selectOption('Doing');
    await page.getByLabel('Ticket Channel becomes', { exact: true }).selectOption('Leave out');
    await page.getByLabel('Name of the new project').fill('Old tickets');
    await page.getByRole('textbox', { name: 'Key', exact: true }).fill('TIX');
    await screenshot(page, '31-import-mapping');
  });

  await step('all rows are tried before any is made', async () => {
    const { page } = visitor;
    await page.getByRole('button', { name: 'Check all rows' }).click();
    await page.getByText('8,469 items will be made').waitFor({ timeout: 120_000 });
    await screenshot(page, '32-import-preview');
    assert.equal((await client.get('/api/projects')).json.projects.length, 0);
  });

  await step('it shows how far it is, then the report', async () => {
    const { page } = visitor;
    const startedAt = performance.now();
    await page.getByRole('button', { name: 'Import 8,469 items' }).click();
    await page.getByRole('progressbar', { name: 'Progress of the import' }).waitFor();
    await screenshot(page, '33-import-progress');
    await page.getByText('8,469 items made in TIX').waitFor({ timeout: 240_000 });
    t.diagnostic(`${ticketCount} tickets in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    await page.getByText('No row was refused').waitFor();
    await screenshot(page, '34-import-report');
  });

  await step('every ticket is there, with all lines of its text', async () => {
    const { project } = { project: (await client.get('/api/projects/TIX')).json };
    assert.equal(project.itemCount, ticketCount);
    const { page } = visitor;
    await page.goto(at('/p/TIX/list?sort=key'));
    await page.getByText('50 of 8,469 items').waitFor();
    const first = (await client.get('/api/items/TIX-1')).json;
    // The first record as any reader of CSV sees it: the text between the quotes.
    const text = /"((?:[^"]|"")*)"/.exec(csv.toString('utf8'))![1]!.replaceAll('""', '"');
    assert.ok(text.includes('\n'));
    assert.ok(first.description.startsWith(text.trim()), first.description);
    await page.goto(at('/p/TIX/board'));
    await page.locator('[data-column=doing] [data-card]').first().waitFor();
    await screenshot(page, '35-board-of-8469');
  });

  await step('undo takes all of it back but what somebody worked on since', async () => {
    const { page } = visitor;
    const commented = await client.send('POST', '/api/items/TIX-7/comments', { body: 'I am on it.' });
    assert.equal(commented.status, 201);
    await page.goto(at('/import'));
    await page.getByRole('link', { name: 'customer-support-tickets.csv' }).click();
    await page.getByRole('button', { name: 'Undo this import' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Undo the import' }).click();
    await page.getByText('Undone: 8,468 items deleted').waitFor({ timeout: 120_000 });
    await page.getByText('1 commented on since').waitFor();
    await screenshot(page, '36-import-undone');
    assert.equal((await client.get('/api/projects/TIX')).json.itemCount, 1);
  });

  await step(
    'rows that cannot be are refused one by one, with line and reason, to be mended and sent again',
    async () => {
      const { page } = visitor;
      const good = makeTickets(40).trimEnd();
      const row = (title: string, state: string, email = 'x@example.com') =>
        `900,Customer,${email},30,Other,GoPro Hero,3/22/21,Technical issue,${title},Text,${state},Low,Chat,,,`;
      const bad = [row('', 'Open'), row('Fine but for its state', 'Xyzzy'), row('t'.repeat(400), 'Open')];
      await page.goto(at('/import'));
      await upload(page, 'mixed.csv', Buffer.from(`${good}\n${bad.join('\n')}\n`));
      await page.getByLabel('“Xyzzy” becomes').selectOption('Refuse these rows');
      await page.getByRole('textbox', { name: 'Key', exact: true }).fill('MIX');
      await page.getByRole('button', { name: 'Check all rows' }).click();
      await page.getByText('40 items will be made').waitFor();
      await page.getByText('3 rows will be refused').waitFor();
      await page.getByRole('button', { name: 'Import 40 items' }).click();
      await page.getByText('40 items made in MIX').waitFor({ timeout: 120_000 });
      const refused = page.getByRole('table', { name: 'Refused rows' });
      await refused.getByText(/Xyzzy/).waitFor();
      assert.equal(await refused.locator('tbody tr').count(), 3);
      await screenshot(page, '37-refused-rows');
      const download = page.waitForEvent('download');
      await page.getByRole('link', { name: 'Download refused rows' }).click();
      const file = readFileSync(await (await download).path(), 'utf8');
      assert.ok(
        file.split('\n')[0]?.includes(ticketHeader),
        'the columns of the file, so that it can be imported again',
      );
      assert.match(file, /Xyzzy/);
      assert.equal(file.match(/example\.com/g)?.length, 3);
    },
  );

  await step('no page made an error of its own', async () => {
    assert.deepEqual(visitor.problems, []);
  });
});

async function upload(page: Page, name: string, buffer: Buffer): Promise<void> {
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Choose file' }).click();
  await (await chooser).setFiles({ name, mimeType: 'text/csv', buffer });
  await page.waitForURL('**/import/imp_*', { timeout: 120_000 });
}
