/**
 * Clocks that jump by a day and by a year, forwards and backwards: in the gateways, in control, and in the database server (whose rows are made
 * to look as they would after the jump). Nobody crashes, nobody is locked out for long, sessions end when they should.
 */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { newFolder, openBrowser, screenshot, until } from '../acceptance/harness.ts';
import { Visitor } from '../acceptance/visitor.ts';
import { findLeftovers, withRegistry } from './support/leftovers.ts';
import { newName } from './support/lifecycle.ts';
import { attach, clientOf, createTenant, finish, password, sent, signIn, type Tenant } from './support/operator.ts';
import { findProcesses } from './support/processes.ts';
import { type Product, startProduct } from './support/product.ts';
import { askAsSuperuser } from './support/superuser.ts';

const dayMs = 24 * 60 * 60 * 1_000;
const jumps = {
  'a day ahead': dayMs,
  'a day behind': -dayMs,
  'a year ahead': 365 * dayMs,
  'a year behind': -365 * dayMs,
};
/** The shifted clock looks at its file fifty times a second. */
const noticedMs = 100;
/** Of the limit on password checks, and of the limits of the gateway. */
const windowMs = 10_000;

const begunAt = Date.now();
const clocks = newFolder();
let product: Product;
let tenant: Tenant;
let database: string;
let processes: string;
before(async () => {
  const preload = new URL('support/shifted-clock.mjs', import.meta.url);
  preload.searchParams.set('folder', clocks);
  // Children are started with the options of their supervisor, which is this process.
  process.execArgv.push('--import', preload.href);
  product = await startProduct({ FREEHOLD_PREPARED_DATABASES: '1', FREEHOLD_WORKERS: '1' });
  tenant = await createTenant(product, newName());
  database = await withRegistry(product, async (db) => {
    const [row] = await db.query<{ name: string }>('SELECT database_name AS name FROM tenants WHERE tenant_id = $1', [
      tenant.tenantId,
    ]);
    return row!.name;
  });
  processes = runningProcesses();
});
after(async () => {
  await tenant?.client.close();
  await product?.stop();
  rmSync(clocks, { recursive: true });
});

const runningProcesses = (): string =>
  findProcesses(product.dataDir)
    .filter(({ role }) => ['control', 'gateway', 'postmaster'].includes(role))
    .filter(({ parentPid }) => parentPid === process.pid)
    .map(({ pid, role }) => `${role} ${pid}`)
    .sort()
    .join();

async function setClock(roles: readonly ('control' | 'gateway')[], offsetMs: number): Promise<void> {
  for (const role of roles) writeFileSync(join(clocks, role), String(offsetMs));
  await delay(noticedMs);
}

/** What people do all day, signed in since before the jump. */
async function workAsUsual(): Promise<void> {
  const { client, itemId } = tenant;
  assert.equal((await client.get('/-/api/session')).status, 200);
  const comment = await sent(client, 'POST', `/api/items/${itemId}/comments`, { body: 'what time is it?' });
  await sent(client, 'PATCH', `/api/comments/${comment.id}`, { version: comment.version, body: 'late' });
  await attach(client, itemId, 'a clock');
  await sent(client, 'GET', '/api/items?sort=-updated');
  const another = await signIn(product, tenant.name);
  assert.equal((await another.get('/api/me')).status, 200);
  await another.close();
  const stranger = clientOf(product, tenant.name);
  const wrong = await stranger.send('POST', '/-/api/session', { email: tenant.email, password: 'certainly-not-it-19' });
  assert.equal(wrong.status, 401);
  await stranger.close();
}

for (const [name, offsetMs] of Object.entries(jumps)) {
  test(`gateways ${name}, then control as well: work and lifecycle go on`, async () => {
    await setClock(['gateway'], offsetMs);
    await workAsUsual();
    await setClock(['control'], offsetMs);
    await workAsUsual();
    const made = newName();
    const { tenantId } = await finish(product, '/api/tenants', { name: made, adminEmail: 'a@example.com' });
    await finish(product, `/api/tenants/${tenantId}/suspend`, {});
    await finish(product, `/api/tenants/${tenantId}/resume`, {});
    await finish(product, `/api/tenants/${tenant.tenantId}/export`, {});
    await setClock(['gateway', 'control'], 0);
    await workAsUsual();
    await finish(product, `/api/tenants/${tenantId}/delete`, { confirm: made });
    assert.equal(runningProcesses(), processes, 'a process did not survive the jump');
  });
}

test('a limit that was reached before the clock was set back ends with its window', async () => {
  const client = clientOf(product, tenant.name);
  const ask = () => client.send('POST', '/-/api/password-check', { password: 'x' });
  // Many at once, so that the limit is reached within its window on a slow machine too.
  const askMany = () => Promise.all(Array.from({ length: 20 }, ask));
  await until('the limit', async () =>
    (await askMany()).some(({ json }) => json?.code === 'FH_PASSWORD_CHECK_LIMITED'),
  );
  await setClock(['gateway'], -365 * dayMs);
  const refused = await ask();
  if (refused.status === 429) assert.ok(Number(refused.headers['retry-after']) <= windowMs / 1_000);
  await until('the limit to end', async () => (await ask()).status === 200, 120_000);
  await setClock(['gateway'], 0);
  await client.close();
});

/** As the rows would look had the server's clock jumped: everything that lies in them has moved the other way. */
async function jumpOfServer(interval: string): Promise<void> {
  await askAsSuperuser(
    product,
    `UPDATE freehold.sessions SET created_at = created_at - '${interval}'::interval, last_used_at = last_used_at - '${interval}'::interval,
       expires_at = expires_at - '${interval}'::interval, idle_expires_at = idle_expires_at - '${interval}'::interval;
     UPDATE freehold.sign_in_failures SET blocked_until = blocked_until - '${interval}'::interval, expires_at = expires_at - '${interval}'::interval`,
    database,
  );
}

test('the server a day and a year ahead: sessions end as they should, and people sign in again', async () => {
  for (const [interval, status] of [
    ['12 hours', 200],
    ['1 year', 401],
  ] as const) {
    const client = await signIn(product, tenant.name);
    await jumpOfServer(interval);
    assert.equal((await client.get('/-/api/session')).status, status, interval);
    assert.equal((await client.get('/api/me')).status, status, interval);
    await client.close();
  }
  const client = await signIn(product, tenant.name);
  assert.equal((await client.get('/api/me')).status, 200);
  await client.close();
});

test('the server is set back after it was ahead: nobody is locked out until then', async () => {
  const stranger = clientOf(product, tenant.name);
  const signInWith = (password: string) => stranger.send('POST', '/-/api/session', { email: tenant.email, password });
  await until(
    'the wrong passwords to be too many',
    async () => (await signInWith('certainly-not-it-19')).status === 429,
  );
  await jumpOfServer('-1 year');
  const client = await signIn(product, tenant.name);
  assert.equal((await client.get('/api/me')).status, 200);
  await client.close();
  await stranger.close();
});

/** As jumpOfServer, for what the rotation of keys goes by. */
const jumpOfKeys = (interval: string) =>
  askAsSuperuser(
    product,
    `UPDATE freehold.sessions SET rotated_at = rotated_at - '${interval}'::interval, key_used_at = key_used_at - '${interval}'::interval`,
    database,
  );

test('a browser gets new keys while it is used; a copy of an old one ends the session, and its user is told', async () => {
  const browser = await openBrowser();
  const thief = clientOf(product, tenant.name);
  try {
    const visitor = await Visitor.open(browser, 'keys');
    const { page } = visitor;
    const address = `https://${tenant.name}.localhost:${product.port}`;
    const keyOf = async () =>
      (await page.context().cookies()).find(({ name }) => name === '__Host-freehold')?.value ?? 'none';
    const openAccount = async () => {
      await page.goto(`${address}/-/account`);
      await page.getByRole('heading', { name: 'Account', level: 1 }).waitFor();
      await visitor.settle();
    };
    await page.goto(`${address}/-/sign-in`);
    await visitor.signIn({ email: tenant.email, password });
    const sessionId = await page.evaluate(async () => (await (await fetch('/-/api/session')).json()).session.sessionId);
    const isKeyUsed = async () =>
      (
        await askAsSuperuser(
          product,
          `SELECT 1 FROM freehold.sessions WHERE session_id = '${sessionId}' AND key_used_at IS NOT NULL`,
          database,
        )
      ).length === 1;
    let stolen = '';
    for (let round = 0; round < 3; round++) {
      // Between two pages, so that nothing of the last one is under way.
      await page.goto('about:blank');
      stolen ||= await keyOf();
      const before = await keyOf();
      await jumpOfKeys('5 minutes');
      await openAccount();
      await until('another key', async () => (await keyOf()) !== before);
      await openAccount();
      await until('its first use to be known', isKeyUsed);
    }
    await page.goto('about:blank');
    await jumpOfKeys('1 minute');
    thief.cookies.set('__Host-freehold', stolen);
    assert.equal((await thief.get('/api/me')).status, 401);
    await page.goto(`${address}/-/account`);
    await page.getByText('Your session was ended for your safety').waitFor();
    await visitor.settle();
    await screenshot(page, 'session-ended');
    await visitor.signIn({ email: tenant.email, password });
    await openAccount();
    await page.getByText('A session of yours was ended for your safety').waitFor();
    await screenshot(page, 'session-notice');
    await page.getByRole('button', { name: 'I have read this' }).click();
    await page.getByText('A session of yours was ended for your safety').waitFor({ state: 'detached' });
    // Anew: the session from before the jumps was over at the year's, and the next sign-in removed it.
    const owner = await signIn(product, tenant.name);
    const { events } = await sent(owner, 'GET', '/-/api/security-log?event=session.key_reused');
    await owner.close();
    assert.equal(events.length, 1);
    assert.deepEqual(visitor.problems, []);
  } finally {
    await thief.close();
    await browser.close();
  }
});

test('nothing crashed, nothing is left over', async () => {
  assert.equal(runningProcesses(), processes);
  for (const name of ['control', 'gateway-1']) {
    const log = readFileSync(join(product.dataDir, `log/${name}.log`), 'utf8');
    assert.doesNotMatch(log, /uncaught exception|unhandled rejection/);
    // The jumps did take place.
    for (const offsetMs of Object.values(jumps)) {
      const month = new Date(begunAt + offsetMs).toISOString().slice(0, 7);
      assert.match(log, new RegExp(`"time":"${month}-`), name);
    }
  }
  await until('everything to be in order', async () => (await findLeftovers(product)).length === 0);
});
