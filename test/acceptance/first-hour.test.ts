/**
 * A new user's first hour: an empty folder, one command, the console, a tenant, two people who work in it at once,
 * every act on a tenant, and the end. Each step begins where the one before has stopped.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { arrive } from './first-hour/arriving.ts';
import { ada, Hour } from './first-hour/hour.ts';
import { operate } from './first-hour/operating.ts';
import { workTogether } from './first-hour/together.ts';
import { work } from './first-hour/working.ts';
import { Freehold, openBrowser, stopChild } from './harness.ts';
import { createSteps } from './story.ts';

test('the first hour', { timeout: 1_200_000 }, async (t) => {
  const hour = new Hour(mkdtempSync(join(tmpdir(), 'fh-downloads-')));
  t.after(async () => {
    await hour.browser?.close();
    await hour.freehold?.stop();
    rmSync(hour.downloads, { recursive: true, force: true });
  });
  hour.step = createSteps(t, () => hour.visitors);

  await hour.step('one command on an empty folder: a line says that everything is ready', async () => {
    // As many as people have.
    hour.freehold = await Freehold.start({ env: { FREEHOLD_PREPARED_DATABASES: '4' } });
    const { setupUrl, ...line } = hour.freehold.ready;
    assert.deepEqual(line, {
      ready: true,
      gateway: `https://localhost:${hour.freehold.port}`,
      console: `https://localhost:${hour.freehold.consolePort}`,
      ca: join(hour.freehold.dataDir, 'ca.crt'),
      pid: hour.freehold.child.pid,
    });
    assert.match(readFileSync(line.ca, 'utf8'), /^-----BEGIN CERTIFICATE-----/);
    assert.ok(setupUrl?.startsWith(`${line.console}/`), 'while nobody is staff, the line holds the set-up link');
  });

  hour.browser = await openBrowser({ isWhole: true });
  await arrive(hour);
  await work(hour);
  await workTogether(hour);
  await operate(hour);

  await hour.step(
    'SIGTERM ends everything in order, the next start is warm and knows it all, Ctrl-C ends that',
    async () => {
      assert.equal(await hour.freehold.stop({ keepData: true }), 0);
      assert.equal(existsSync(join(hour.freehold.dataDir, 'run', 'control', 'command.sock')), false);
      const startedAt = performance.now();
      hour.freehold = await Freehold.start({ dataDir: hour.freehold.dataDir });
      const seconds = (performance.now() - startedAt) / 1000;
      t.diagnostic(`second start: ${seconds.toFixed(1)} s`);
      assert.equal(hour.freehold.ready.setupUrl, undefined, 'there is staff already');
      const api = hour.freehold.tenantClient('northwind-trading');
      const { email, password } = ada;
      assert.equal((await api.send('POST', '/-/api/session', { email, password })).status, 201);
      const board = await api.get('/api/projects/SUP/board');
      assert.equal(board.json.columns.flatMap((each: { items: unknown[] }) => each.items).length, 4);
      await api.close();
      assert.equal(await stopChild(hour.freehold.child, 'SIGINT', 600_000), 0);
    },
  );
});
