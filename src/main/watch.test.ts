import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HealthWarning } from '#src/console-api/index.ts';
import { type Log, silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import { ManagedProcess } from './managed-process.ts';
import { Shutdown } from './shutdown.ts';
import { startWatch } from './watch.ts';

const deadlineMs = 60_000;

test('the heartbeat comes while nothing is wrong, and only then; when it is not delivered, that is said without its address', async () => {
  let received = 0;
  let status = 204;
  const paths = new Set<string | undefined>();
  const server = createServer((request, response) => {
    received++;
    paths.add(request.url);
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const logged: unknown[] = [];
  const record = (...line: unknown[]) => void logged.push(line);
  const log: Log = { ...silentLog, info: record, warn: record, error: record };
  const shutdown = new Shutdown(silentLog);
  let warnings: HealthWarning[] = [{ severity: 'risk', text: 'a risk is no reason for silence', hint: '' }];
  let looks = 0;
  let beats = 0;
  const watch = startWatch({
    health: async () => {
      looks++;
      return { warnings };
    },
    heartbeatUrl: `http://127.0.0.1:${port}/ping/s3cret`,
    beat: ({ isWatching }) => {
      assert.equal(isWatching, true);
      beats++;
    },
    clock: systemClock,
    log,
    shutdown,
    everyMs: 10,
  });
  try {
    await waitFor('three heartbeats', () => received >= 3, { deadlineMs });
    warnings = [{ severity: 'problem', text: 'The job base backup has not succeeded yet.', hint: '' }];
    // The look that had begun before may still send one.
    const seen = looks;
    await waitFor('another look', () => looks >= seen + 2, { deadlineMs });
    const last = received;
    await waitFor('more looks', () => looks >= seen + 7, { deadlineMs });
    assert.equal(received, last);
    assert.deepEqual(watch.warnings(), []);

    warnings = [];
    status = 500;
    await waitFor('the refusal to be noticed', () => watch.warnings().length > 0, { deadlineMs });
    assert.match(watch.warnings()[0]!.text, /the answer was 500/);
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
    await waitFor('the absence to be noticed', () => /could not be reached/.test(watch.warnings()[0]?.text ?? ''), {
      deadlineMs,
    });
    assert.ok(beats > 10);
    assert.deepEqual([...paths], ['/ping/s3cret']);
    assert.equal(logged.length, 1);
    assert.doesNotMatch(JSON.stringify([logged, watch.warnings()]), /s3cret/);
  } finally {
    await shutdown.run();
    server.close();
  }
});

test('a process that sent beats and then hangs is killed and started again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fh-silent-'));
  const programDir = `${folder}/`;
  await mkdir(join(folder, 'src/main'), { recursive: true });
  // Hangs as a whole: no timer of its own and no signal handler would run any more.
  await writeFile(
    join(folder, 'src/main/cli.ts'),
    `process.send({ type: 'beat', isWatching: true }, () =>
       process.send({ type: 'ready', facts: {} }, () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)));`,
  );
  const managed = new ManagedProcess({
    name: 'control',
    role: 'control',
    programDir,
    env: { PATH: process.env.PATH },
    logFile: join(folder, 'log'),
    startDeadlineMs: deadlineMs,
    longestRestartMs: 10,
    isStopping: () => false,
    log: silentLog,
    beatWithinMs: 100,
  });
  try {
    await managed.start();
    await waitFor('a second start', () => managed.restarts > 0, { deadlineMs });
    assert.equal(await readFile(join(folder, 'log'), 'utf8'), '');
  } finally {
    await managed.stop(1);
    await rm(folder, { recursive: true, force: true });
  }
});
