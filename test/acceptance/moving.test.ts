/** A tenant moves to another installation: one archive that plain tools open, hash-equal there and back; broken ones change nothing. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Client, Freehold, openBrowser, pgRestore, screenshot } from './harness.ts';
import { Visitor } from './visitor.ts';

const password = 'eleven quiet trams at midnight';
const adminEmail = 'ada@northwind.example';

describe('moving', { timeout: 1_200_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fh-moving-'));
  const file = join(folder, 'northwind.tar');
  let here: Freehold;
  let there: Freehold;
  let client: Client;
  let exported: { file: string; sizeBytes: number; sha256: string; contentHash: string };

  before(async () => {
    [here, there] = await startBoth();
    client = await here.signUp(await here.createTenant('northwind', adminEmail), password);
    await fill(client);
  });
  after(async () => {
    await client?.close();
    await Promise.all([here?.stop(), there?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const importInto = (archive: string, name: string) =>
    there.run('tenant', 'import', archive, '--name', name, '--json');

  it('writes one archive that only its owner can read', async () => {
    const result = await here.run('tenant', 'export', 'northwind', '--to', file, '--json');
    assert.equal(result.code, 0, result.stderr);
    exported = JSON.parse(result.stdout);
    assert.deepEqual(Object.keys(exported), ['file', 'sizeBytes', 'sha256', 'contentHash']);
    assert.equal(exported.sizeBytes, statSync(file).size);
    assert.equal(exported.sha256, createHash('sha256').update(readFileSync(file)).digest('hex'));
    assert.equal(statSync(file).mode & 0o077, 0);
    const nowhere = await here.run('tenant', 'export', 'northwind', '--to', join(folder, 'no', 'folder.tar'), '--json');
    assert.deepEqual([nowhere.code, JSON.parse(nowhere.stderr).error.code], [1, 'FH_OUTPUT_FILE']);
  });

  it('plain tar and pg_restore open it', () => {
    const names = execFileSync('tar', ['-tf', file], { encoding: 'utf8' }).trim().split('\n');
    const manifest = execFileSync('tar', ['-xOf', file, 'manifest.json'], { encoding: 'utf8' });
    assert.ok(manifest.includes(exported.contentHash));
    assert.ok(JSON.parse(manifest));
    const dump = names.find((name) => name.endsWith('.dump'))!;
    execFileSync('tar', ['-xf', file, '-C', folder, dump]);
    const sql = execFileSync(pgRestore(), ['--file=-', join(folder, dump)], { encoding: 'utf8', maxBuffer: 64 << 20 });
    assert.match(sql, /Refund for order 4711/);
    assert.match(sql, /CREATE TABLE app\./);
  });

  it('what is no whole archive is refused, and nothing is left of it', async () => {
    const broken = join(folder, 'broken.tar');
    copyFileSync(file, broken);
    truncateSync(broken, statSync(file).size - 5_000);
    for (const archive of [broken, '/etc/passwd']) {
      const refused = await importInto(archive, 'half');
      assert.equal(refused.code, 1);
      assert.match(JSON.parse(refused.stderr).error.code, /^FH_ARCHIVE_/);
    }
    const missing = await importInto(join(folder, 'not-there.tar'), 'half');
    assert.deepEqual([missing.code, JSON.parse(missing.stderr).error.code], [1, 'FH_INPUT_FILE']);
    assert.equal(JSON.parse((await there.run('tenant', 'list', '--json')).stdout).total, 0);
  });

  it('the other installation holds the same, hash-equal there and back', async () => {
    const result = await importInto(file, 'moved');
    assert.equal(result.code, 0, result.stderr + (result.code === 0 ? '' : there.readTroubles()));
    const moved = JSON.parse(result.stdout);
    assert.deepEqual(Object.keys(moved), ['tenantId', 'name', 'url', 'contentHash']);
    assert.equal(moved.contentHash, exported.contentHash);
    const back = await there.run('tenant', 'export', 'moved', '--to', join(folder, 'back.tar'), '--json');
    assert.equal(JSON.parse(back.stdout).contentHash, exported.contentHash);

    const guest = there.tenantClient('moved');
    const signedIn = await guest.send('POST', '/-/api/session', { email: adminEmail, password });
    assert.equal(signedIn.status, 201, 'people keep their passwords');
    assert.deepEqual(await readAll(guest), await readAll(client));
    await guest.close();
  });

  it('the console takes an archive as well, and says what is wrong with a broken one', async (context) => {
    const browser = await openBrowser();
    context.after(() => browser.close());
    const staff = await Visitor.open(browser, 'staff');
    const { page } = staff;
    const olive = {
      name: 'Olive Staff',
      email: 'olive@operator.example',
      password: 'copper lantern under the ninth bridge',
    };
    await staff.setUpStaff(there.ready.setupUrl!, olive);
    await page.getByRole('button', { name: 'Import', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'Import tenant' });
    const send = async (archive: string) => {
      const choosing = page.waitForEvent('filechooser');
      await dialog.getByRole('button', { name: 'Archive' }).click();
      await (await choosing).setFiles(archive);
      await dialog.getByRole('button', { name: 'Import tenant' }).click();
    };
    await dialog.getByLabel('Name', { exact: true }).fill('carried');
    await dialog.getByLabel('Title', { exact: true }).fill('Carried over');
    await send(join(folder, 'broken.tar'));
    await staff.confirmStepUpIfAsked(olive, dialog.getByRole('alert'));
    await dialog
      .getByRole('alert')
      .filter({ hasText: /archive/i })
      .waitFor();
    await screenshot(page, 'console-import-refused');
    await send(file);
    await dialog.getByRole('link', { name: 'Show tenant' }).click({ timeout: 180_000 });
    await page.getByRole('heading', { name: 'Carried over' }).waitFor();
    assert.deepEqual(staff.problems, []);
    const back = await there.run('tenant', 'export', 'carried', '--to', join(folder, 'carried.tar'), '--json');
    assert.equal(JSON.parse(back.stdout).contentHash, exported.contentHash);
  });
});

/** Both at once; when one does not start, the other is stopped. */
async function startBoth(): Promise<[Freehold, Freehold]> {
  const [first, second] = await Promise.allSettled([Freehold.start(), Freehold.start()]);
  if (first.status === 'fulfilled' && second.status === 'fulfilled') return [first.value, second.value];
  for (const each of [first, second]) if (each.status === 'fulfilled') await each.value.stop();
  throw first.status === 'rejected' ? first.reason : (second as PromiseRejectedResult).reason;
}

async function fill(client: Client): Promise<void> {
  const made = await client.send('POST', '/api/projects', { key: 'SUP', name: 'Support' });
  assert.equal(made.status, 201, made.text);
  const item = await client.send('POST', '/api/items', {
    project: 'SUP',
    title: 'Refund for order 4711',
    description: 'Zürich, 東京, 👩‍🚀\n\n> quoted',
    tags: ['money'],
  });
  assert.equal(item.status, 201, item.text);
  await client.send('POST', '/api/items/SUP-1/comments', { body: 'Paid twice.' });
  const boundary = 'part';
  const upload = await client.send(
    'POST',
    '/api/items/SUP-1/attachments',
    Buffer.concat([
      Buffer.from(
        `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="scan.bin"\r\ncontent-type: application/octet-stream\r\n\r\n`,
      ),
      Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 31) & 0xff)),
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]),
    { 'content-type': `multipart/form-data; boundary=${boundary}` },
  );
  assert.equal(upload.status, 201, upload.text);
}

/** What the tenant holds as its users see it. */
async function readAll(client: Client): Promise<unknown> {
  const item = (await client.get('/api/items/SUP-1')).json;
  const { comments } = (await client.get('/api/items/SUP-1/comments')).json;
  const { attachments } = (await client.get('/api/items/SUP-1/attachments')).json;
  const content = await client.get(attachments[0].url);
  assert.equal(content.status, 200);
  const users = (await client.get('/-/api/users')).json.users.map(
    ({ userId, email, role }: Record<string, string>) => ({ userId, email, role }),
  );
  return { item, comments, attachments, content: createHash('sha256').update(content.text).digest('hex'), users };
}
