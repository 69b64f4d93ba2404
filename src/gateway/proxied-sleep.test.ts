import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FreeholdError } from '#src/kernel/index.ts';
import { echo } from './proxied-echo.fixture.ts';
import { startProxiedWorld, until } from './proxied-world.fixture.ts';

const robots: [path: string, headers: Record<string, string>, status: number][] = [
  ['/health', {}, 200],
  ['/health?x=1', { 'user-agent': 'curl/8' }, 200],
  ['/', { 'user-agent': 'Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)' }, 200],
  ['/', { 'user-agent': 'kube-probe/1.30' }, 200],
  ['/', { 'user-agent': 'ELB-HealthChecker/2.0' }, 200],
  ['/status', { 'user-agent': 'Blackbox Exporter/0.25' }, 200],
  ['/.env', { 'user-agent': 'Mozilla/5.0' }, 404],
  ['/.git/config', {}, 404],
  ['/wp-login.php', {}, 404],
  ['/WP-Admin/setup-config.php', {}, 404],
  ['/actuator/health', {}, 404],
  ['/cgi-bin/luci', {}, 404],
  ['/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php', {}, 404],
];

test('nothing that is not a user wakes an app that sleeps; when it is awake, everything is passed on', async (t) => {
  const world = await startProxiedWorld(t);
  await world.serve('acme', echo);
  for (const [path, headers, status] of robots) {
    const answer = await world.request({ path, headers });
    assert.equal(answer.status, status, path);
    if (status === 200) assert.deepEqual(answer.json(), { status: 'asleep' });
  }
  assert.equal((await world.request({ path: '/health', method: 'HEAD' })).status, 200);
  assert.deepEqual([...world.wakes], []);
  assert.equal((await world.request({ path: '/health', method: 'POST' })).status, 200);
  assert.deepEqual([...world.wakes], [['acme', 1]]);
  for (const [path, headers] of robots) assert.equal((await world.request({ path, headers })).json().url, path);
});

test('people wake it, whatever they open', async (t) => {
  for (const [path, headers] of [
    ['/', { 'user-agent': 'curl/8' }],
    ['/health', { 'sec-fetch-mode': 'navigate' }],
    ['/wp-login.php', { 'sec-fetch-mode': 'navigate' }],
    ['/envelope', {}],
  ] as [string, Record<string, string>][]) {
    const world = await startProxiedWorld(t);
    await world.serve('acme', echo);
    assert.equal((await world.request({ path, headers })).json().url, path);
    assert.deepEqual([...world.wakes], [['acme', 1]]);
  }
});

test('the front page wakes it also where it is the health path', async (t) => {
  const world = await startProxiedWorld(t, { process: { healthPath: '/' } });
  await world.serve('acme', echo);
  assert.equal((await world.request({ path: '/' })).json().url, '/');
});

test('an app that does not start, or has no room, says so without internals and when to come again', async (t) => {
  const world = await startProxiedWorld(t);
  const failing = (code: string) => {
    world.failVisits(
      new FreeholdError(
        code,
        { status: 503, title: 'x' },
        { detail: 'secret-path', hint: './freehold app logs secret' },
      ),
    );
  };
  failing('FH_APP_FAILED');
  const page = await world.request({ path: '/', headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate' } });
  assert.deepEqual([page.status, page.headers['retry-after']], [503, '30']);
  assert.match(page.body, /This app does not start/);
  assert.doesNotMatch(page.body, /secret/);
  failing('FH_APP_BUSY');
  const busy = await world.request({ path: '/' });
  assert.deepEqual([busy.status, busy.headers['retry-after'], busy.json().code], [503, '1', 'FH_APP_BUSY']);
  failing('FH_RPC_TIMEOUT');
  assert.equal((await world.request({ path: '/' })).status, 503);
  assert.equal(world.visits.count, 0);
});

test('a request that found nobody listening is made once more at the next life of the app, and only once', async (t) => {
  const world = await startProxiedWorld(t);
  assert.equal((await world.request({ path: '/', method: 'POST', body: '{}' })).json().code, 'FH_APP_UNREACHABLE');
  assert.deepEqual(world.forgotten, ['acme-1', 'acme-2']);
  world.beforeVisit(async (count) => {
    if (count === 2) await world.serve('acme', echo);
  });
  assert.equal((await world.request({ path: '/', method: 'POST', body: '{}' })).json().body, '{}');
  assert.equal(world.visits.count, 0);
});

test('an app that ends a kept connection just as it is used is asked again when that changes nothing', async (t) => {
  const world = await startProxiedWorld(t);
  const asked: string[] = [];
  await world.serveRaw('acme', (socket) => {
    let count = 0;
    socket.on('data', (data) => {
      asked.push(data.toString().slice(0, 4));
      // The second request of a connection is never answered.
      if (++count === 2) socket.destroy();
      else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
  });
  assert.equal((await world.request({ path: '/' })).body, 'ok');
  assert.equal((await world.request({ path: '/' })).body, 'ok');
  assert.deepEqual(asked, ['GET ', 'GET ', 'GET ']);
  assert.equal((await world.request({ path: '/' })).body, 'ok');
  assert.equal((await world.request({ path: '/', method: 'POST' })).status, 502);
  assert.deepEqual(asked.slice(3), ['GET ', 'POST']);
  await until(() => world.visits.count === 0, 'nobody is there');
});
