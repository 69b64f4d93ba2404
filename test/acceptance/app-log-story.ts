/** What the app of the tenant `wiki` wrote, as a member of staff reads it in the console. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { findSeriousViolations } from './axe.ts';
import { type Freehold, screenshot } from './harness.ts';
import { audit } from './page-audit.ts';
import type { Person, Visitor } from './visitor.ts';

export async function readAppLog(freehold: Freehold, visitor: Visitor, staff: Person): Promise<void> {
  const { page } = visitor;
  await page.goto(`${freehold.ready.console}/tenants/wiki`);
  await page.getByRole('link', { name: 'notes' }).press('Enter');
  await page.getByRole('heading', { name: 'App of wiki', level: 1 }).waitFor();
  await page.getByText('Awake', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Open the log' }).press('Enter');
  const log = page.getByRole('region', { name: 'Log of wiki' });
  await visitor.confirmStepUpIfAsked(staff, log);
  const crash = freehold.tenantClient('wiki');
  await crash.get('/crash').catch(() => undefined);
  await log.getByText('the app is gone: it ended with exit code 1').waitFor();
  await visitor.settle();
  await screenshot(page, join('pages', 'console-app-log'));
  const found = await audit(page);
  assert.deepEqual([await findSeriousViolations(page), found.faults, found.overflow], [[], [], 0]);
  await page.locator('body').press('/');
  await page.keyboard.type('the app is gone');
  await page.getByText(/^1 of \d+ lines$/).waitFor();
  await page.getByRole('button', { name: 'Copy as text' }).press('Enter');
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(copied, /^\d{4}-\S+Z freehold: the app is gone: it ended with exit code 1$/);
  await page.getByLabel('Search the log').fill('no such words');
  await page.getByRole('heading', { name: 'No such line' }).waitFor();
  await page.getByRole('button', { name: 'Show all lines' }).press('Enter');
  await log.waitFor();
  const { stdout } = await freehold.run('audit', '--json', '--event', 'app.log_read');
  assert.match(stdout, /"actor":"staff:stf_/);
  assert.deepEqual(visitor.problems, []);
  await crash.close();
}
