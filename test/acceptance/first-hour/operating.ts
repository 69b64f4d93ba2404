/** The operator's acts on a tenant that people use, and the trail they leave. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { screenshot } from '../harness.ts';
import { act, ada, cardOf, type Hour, olive } from './hour.ts';

export async function operate(hour: Hour): Promise<void> {
  await hour.step('the console closes a tenant and opens it again', async () => {
    const { page } = hour.staff;
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

    await hour.owner.page.goto(hour.at('/'));
    await hour.owner.page.getByRole('heading', { name: /suspended/i }).waitFor();
    await screenshot(hour.owner.page, '15-suspended-page');
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('dialog', { name: 'Resume northwind' }).getByRole('button', { name: 'Resume tenant' }).click();
    await page.getByText('Suspended', { exact: true }).waitFor({ state: 'detached' });
    await page.getByText('Active', { exact: true }).first().waitFor();
    await hour.owner.page.reload();
    await hour.owner.page.getByRole('navigation', { name: 'Main' }).waitFor();
  });

  await hour.step('it renames, clones and exports', async () => {
    const { page } = hour.staff;
    await act(page, 'Rename');
    const rename = page.getByRole('dialog', { name: 'Rename northwind' });
    await rename.getByLabel('New name').fill('northwind-trading');
    await rename.getByRole('button', { name: 'Rename tenant' }).click();
    await page.getByRole('link', { name: `northwind-trading.localhost:${hour.freehold.port}`, exact: true }).waitFor();
    await hour.owner.page.goto(hour.at('/'));
    await hour.owner.page.getByText('There is nothing at this address').waitFor();
    await screenshot(hour.owner.page, '16-unknown-address');
    await hour.owner.page.goto(hour.at('/', 'northwind-trading'));
    await hour.owner.page.waitForURL('**/-/sign-in**');
    await hour.owner.signIn(ada);
    await hour.owner.page.getByText('Northwind Trading').first().waitFor();

    await act(page, 'Clone');
    const clone = page.getByRole('dialog', { name: 'Clone northwind-trading' });
    await clone.getByLabel('Name of the copy').fill('northwind-copy');
    await clone.getByRole('button', { name: 'Clone tenant' }).click();
    const copied = page.getByRole('link', { name: 'Go to northwind-copy' });
    await hour.staff.confirmStepUpIfAsked(olive, copied);
    await copied.waitFor({ timeout: 120_000 });
    const copy = await hour.open('copy');
    await copy.page.goto(hour.at('/p/SUP/board', 'northwind-copy'));
    await copy.page.waitForURL('**/-/sign-in**');
    await copy.signIn(ada);
    await cardOf(copy.page.locator('main'), 'Refund').waitFor();
    await hour.leave(copy);

    await act(page, 'Export');
    await page
      .getByRole('dialog', { name: 'Export northwind-trading' })
      .getByRole('button', { name: 'Export tenant' })
      .click();
    const download = page.waitForEvent('download', { timeout: 120_000 });
    await page.getByRole('button', { name: /Download the archive/ }).click({ timeout: 120_000 });
    await hour.staff.confirmStepUpIfAsked(olive, download);
    const archive = join(hour.downloads, 'northwind.tar');
    await (await download).saveAs(archive);
    await screenshot(page, '17-export');
    assert.match(readFileSync(archive).subarray(0, 512).toString('latin1'), /ustar/);
  });

  await hour.step('it deletes, and hands out a certificate', async () => {
    const { page } = hour.staff;
    await page.getByRole('link', { name: 'Tenants' }).first().click();
    await page.getByRole('link', { name: 'northwind-copy' }).click();
    await act(page, 'Delete');
    const dialog = page.getByRole('dialog', { name: 'Delete northwind-copy' });
    await dialog.getByLabel(/Type northwind-copy to confirm/).fill('northwind');
    assert.equal(await dialog.getByRole('button', { name: /Delete tenant/ }).isDisabled(), true);
    await dialog.getByLabel(/Type northwind-copy to confirm/).fill('northwind-copy');
    await dialog.getByRole('checkbox', { name: 'Destroy the key at once; no way back' }).check();
    await screenshot(page, '18-delete-asks');
    await dialog.getByRole('button', { name: /Delete tenant/ }).click();
    const certificateLink = page.getByRole('link', { name: 'View the deletion certificate' });
    await hour.staff.confirmStepUpIfAsked(olive, certificateLink);
    await certificateLink.click({ timeout: 120_000 });
    await page.getByRole('heading', { name: 'Deletion certificate' }).waitFor();
    await page.getByText('Destroyed', { exact: true }).first().waitFor();
    await screenshot(page, '19-deletion-certificate');
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download with its signature' }).click();
    const path = join(hour.downloads, 'certificate.json');
    await (await download).saveAs(path);
    const certificate = JSON.parse(readFileSync(path, 'utf8'));
    assert.equal(certificate.document.tenant.name, 'northwind-copy');
    assert.equal(certificate.document.destroyed.key.destroyed, true);

    await hour.owner.page.goto(hour.at('/', 'northwind-copy'));
    await hour.owner.page.getByText('This account was deleted').waitFor();
    await screenshot(hour.owner.page, '20-deleted-page');
  });

  await hour.step('the audit log tells all of it', async () => {
    const { page } = hour.staff;
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
    await hour.owner.page.goto(hour.at('/-/security-log', 'northwind-trading'));
    for (const words of ['Signed out everywhere', 'Changed a role', 'Accepted an invitation', 'Sign-in refused'])
      await hour.owner.page.getByRole('table').getByText(words).first().waitFor();
    await screenshot(hour.owner.page, '22-security-log');
    await page.goto(`${hour.freehold.ready.console}/health`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await screenshot(page, '23-health');
  });

  await hour.step('no page made an error of its own', async () => {
    const problems = [hour.staff, hour.owner, hour.member].flatMap(({ name, problems }) =>
      problems.map((line) => `${name}: ${line}`),
    );
    assert.deepEqual(problems, []);
  });
}
