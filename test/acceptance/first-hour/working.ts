/** Work in Desk: a project, cards that move, comments, files, history, lists and search. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { waitFor } from '#src/kernel/index.ts';
import { screenshot } from '../harness.ts';
import { ada, cardOf, choose, column, drag, type Hour } from './hour.ts';

export async function work(hour: Hour): Promise<void> {
  await hour.step('a project, and items on its board', async () => {
    const { page } = hour.owner;
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
    // The list that was under way when it was made may come later, and is asked for again.
    await column(page, 'todo').locator('[data-card]').nth(3).waitFor();
    assert.equal(await column(page, 'todo').locator('[data-card]').count(), 4);
  });

  await hour.step('cards move with the pointer and with the keyboard, and stay moved', async () => {
    const { page } = hour.owner;
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
    await waitFor('the focus to go along', () => printer().evaluate((card) => card === document.activeElement));

    // A move is seen before it is saved: whoever leaves in between is asked.
    await saved(page);
    const held = Promise.withResolvers<void>();
    await page.route('**/api/items/*/move', async (route) => {
      await held.promise;
      await route.continue();
    });
    await page.keyboard.press('Shift+ArrowLeft');
    await page.keyboard.press('Shift+ArrowRight');
    const asked = page.waitForEvent('dialog');
    const left = page.evaluate(() => window.location.reload());
    const question = await asked;
    assert.equal(question.type(), 'beforeunload');
    await question.dismiss();
    await left;
    held.resolve();
    await saved(page);
    await page.unroute('**/api/items/*/move');

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

  await hour.step('comments, an attachment there and back, and the history', async () => {
    const { page } = hour.owner;
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
    const path = join(hour.downloads, 'statement.bin');
    await file.saveAs(path);
    assert.ok(readFileSync(path).equals(content), 'the file comes back as it went');

    await panel.getByRole('tab', { name: 'History' }).click();
    await panel.getByText(/attached/).waitFor();
    await panel.getByText(/state from/).waitFor();
    await screenshot(page, '09-item-with-history');
    await panel.getByRole('button', { name: 'Close the item' }).click();
  });

  await hour.step('the list filters and searches the full text', async () => {
    const { page } = hour.owner;
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
}

/** The server has every move that the board shows. */
async function saved(page: Page): Promise<void> {
  await waitFor('the moves to be saved', async () => (await page.locator('[aria-busy=true]').count()) === 0);
}
