/**
 * Many sessions, each with many requests at the same time, over many rotations and several workers: nobody is signed out who should not be, and
 * every key of the past that comes back ends its session. FREEHOLD_SLOW_TESTS=1: 10,000 × 32 × 20; otherwise a small version of the same.
 * Times go by in the database, so no test waits.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId, randomBytes } from '#src/kernel/index.ts';
import type { Identity } from '../identity.ts';
import { createTwins, startTwoTenants, type TwoTenants } from '../two-tenants.fixture.ts';
import { createWorker, TestBrowser } from './browser.fixture.ts';
import { createBrowserCookies } from './browser.ts';
import { hashToken, newToken } from './cookie.ts';
import { rotation } from './session-key.ts';

const isSlow = process.env.FREEHOLD_SLOW_TESTS === '1';
const size = isSlow ? { sessions: 10_000, requests: 32, rotations: 20 } : { sessions: 50, requests: 32, rotations: 4 };
/** Sessions whose requests are under way together. */
const sideBySide = 4;

let two: TwoTenants;
let workers: Identity[];
before(async () => {
  two = await startTwoTenants();
  workers = Array.from({ length: 4 }, () => createWorker(two));
});
after(async () => {
  await settle();
  await two?.stop();
});

const settle = () => Promise.all((workers ?? []).map((worker) => worker.settle()));
const query = (text: string, values?: unknown[]) =>
  two.databases.platform.transact(two.a.tenantId, (db) => db.query(text, values));
const pass = async (seconds: number) => {
  await settle();
  await query(
    `UPDATE freehold.sessions SET rotated_at = rotated_at - make_interval(secs => $1), key_used_at = key_used_at - make_interval(secs => $1)`,
    [seconds],
  );
};

async function startSessions(count: number): Promise<TestBrowser[]> {
  const userId = await createTwins(two, 'many@example.com');
  const cookies = createBrowserCookies(() => two.a.cookieKey);
  const browsers: TestBrowser[] = [];
  const rows: { sessionId: string; tokenHash: string }[] = [];
  for (let at = 0; at < count; at++) {
    const key = { token: newToken(), sessionId: newId('ses'), generation: 0 };
    rows.push({ sessionId: key.sessionId, tokenHash: hashToken(key.token).toString('hex') });
    const setCookie = await cookies.setSession(two.a.tenantId, key);
    browsers.push(new TestBrowser(two.a.tenantId, setCookie.slice(0, setCookie.indexOf(';'))));
  }
  await query(
    `INSERT INTO freehold.sessions (session_id, token_hash, user_id, user_epoch, expires_at, idle_expires_at)
     SELECT r->>'sessionId', decode(r->>'tokenHash', 'hex'), user_id, epoch, now() + interval '1 d', now() + interval '1 d'
     FROM jsonb_array_elements($2::jsonb) r, freehold.users WHERE user_id = $1`,
    [userId, JSON.stringify(rows)],
  );
  return browsers;
}

test(`${size.sessions} sessions × ${size.requests} requests at once × ${size.rotations} rotations over 4 workers`, {
  timeout: isSlow ? 14_400_000 : 300_000,
}, async (t) => {
  const seed = randomBytes(4).readUInt32BE();
  t.diagnostic(`seed ${seed}`);
  const random = seeded(seed);
  const browsers = await startSessions(size.sessions);
  const first = browsers.map(({ header }) => header);
  let [requests, falseSignOuts, rotations, resent] = [0, 0, 0, 0];
  const startedAt = performance.now();
  const inBatches = async (act: (browser: TestBrowser, at: number) => Promise<void>) => {
    for (let from = 0; from < browsers.length; from += sideBySide)
      await Promise.all(browsers.slice(from, from + sideBySide).map((browser, at) => act(browser, from + at)));
  };

  for (let round = 0; round < size.rotations; round++) {
    await pass(rotation.everySeconds);
    await inBatches(async (browser) => {
      const { header } = browser;
      const answers = await Promise.all(
        Array.from({ length: size.requests }, () =>
          // A tenth of the answers is lost, a tenth carries no cookies.
          browser.request(workers[Math.floor(random() * workers.length)]!, {
            isLost: random() < 0.1,
            cannotSet: random() < 0.1,
          }),
        ),
      );
      requests += answers.length;
      falseSignOuts += answers.filter(({ session }) => session === undefined).length;
      resent += Math.max(0, answers.filter(({ setCookie }) => setCookie !== undefined).length - 1);
      if (browser.header !== header) rotations++;
    });
    // The grace passes, with and without the new key having been used; then people go on working.
    await inBatches(async (browser) => {
      if (random() < 0.5) return;
      requests++;
      if (!(await browser.request(workers[Math.floor(random() * workers.length)]!)).session) falseSignOuts++;
    });
    await pass(rotation.settleSeconds);
    await inBatches(async (browser) => {
      requests++;
      if (!(await browser.request(workers[Math.floor(random() * workers.length)]!)).session) falseSignOuts++;
    });
    await pass(rotation.settleSeconds);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  t.diagnostic(
    `${requests} requests in ${seconds.toFixed(1)} s, ${rotations} rotations, ${resent} successors sent again, ${falseSignOuts} false sign-outs`,
  );
  assert.equal(falseSignOuts, 0);
  // Every answer of a round lost is as good as impossible; every other round has rotated.
  assert.equal(rotations, size.sessions * size.rotations);
  const [{ generations } = {}] = await query('SELECT sum(generation)::int AS generations FROM freehold.sessions');
  assert.equal(generations, size.sessions * size.rotations);

  let ended = 0;
  await inBatches(async (browser, at) => {
    const replay = await new TestBrowser(browser.tenantId, first[at]!).request(workers[at % workers.length]!);
    const own = await browser.request(workers[(at + 1) % workers.length]!);
    if (replay.session === undefined && own.session === undefined) ended++;
  });
  assert.equal(ended, size.sessions);
  const [{ told } = {}] = await query(
    `SELECT count(*)::int AS told FROM freehold.audit_events WHERE name = 'session.key_reused'`,
  );
  assert.equal(told, size.sessions);
});

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
