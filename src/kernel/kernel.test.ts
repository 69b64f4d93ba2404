import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  armFailpoints,
  createLog,
  defineErrors,
  FreeholdError,
  failpoint,
  idFrom,
  isId,
  newId,
  redact,
  redactText,
  retry,
  toFreeholdError,
} from './index.ts';

describe('ids', () => {
  it('carry their prefix and are told from anything else', () => {
    const id = newId('ten');
    assert.match(id, /^ten_[0-9a-z]{26}$/);
    assert.ok(isId('ten', id));
    for (const wrong of [
      `usr${id.slice(3)}`,
      `${id}0`,
      id.slice(0, -1),
      id.toUpperCase(),
      `ten_${'../'.repeat(8)}ab`,
      '',
      undefined,
      7,
      { toString: () => id },
    ])
      assert.equal(isId('ten', wrong), false);
  });

  it('follow from bytes', () => {
    const bytes = Uint8Array.from({ length: 32 }, (_, at) => at * 7);
    assert.equal(idFrom('kit', bytes), 'kit_07enw3ahrz6dmv29gqy5ckt18f');
    assert.ok(isId('kit', idFrom('kit', bytes)));
    assert.throws(() => idFrom('kit', bytes.subarray(0, 25)), TypeError);
  });

  it('do not repeat', () => {
    assert.equal(new Set(Array.from({ length: 10_000 }, () => newId('req'))).size, 10_000);
  });
});

describe('errors', () => {
  it('refuse a code that is defined twice', () => {
    defineErrors({ FH_TEST_ONCE: { status: 418, title: 'once' } });
    assert.throws(() => defineErrors({ FH_TEST_ONCE: { status: 418, title: 'twice' } }), /defined twice/);
  });

  it('hide what is not meant for the caller', () => {
    const shown = toFreeholdError(new Error('password of the database is hunter2'));
    assert.ok(shown instanceof FreeholdError);
    assert.equal(shown.code, 'FH_INTERNAL');
    assert.doesNotMatch(`${shown.message} ${shown.detail} ${shown.hint}`, /hunter2/);
  });
});

describe('log', () => {
  it('does not throw when its disk is full, and goes on when there is room again', () => {
    // full(4): every write fails with ENOSPC.
    const full = openSync('/dev/full', 'w');
    const log = createLog({ level: 'info', fd: full });
    for (let line = 0; line < 3; line++) log.error('nobody can write this', { line });
    const folder = mkdtempSync(join(tmpdir(), 'freehold-log-'));
    const file = join(folder, 'log');
    const room = openSync(file, 'a');
    // The same descriptor leads to a disk with room from here on.
    closeSync(full);
    const same = openSync(file, 'a');
    assert.equal(same, full);
    log.info('here I am');
    assert.match(readFileSync(file, 'utf8'), /nobody can write this.*here I am/s);
    for (const fd of [room, same]) closeSync(fd);
    rmSync(folder, { recursive: true });
  });
});

describe('redaction', () => {
  it('removes secrets by key at any depth', () => {
    const redacted = JSON.stringify(
      redact({ a: [{ password: 'pw1', nested: { sessionToken: 'pw2', Authorization: 'pw3' } }], cookie: 'pw4' }),
    );
    assert.doesNotMatch(redacted, /pw\d/);
  });

  it('removes secrets inside free text and errors', () => {
    const url = 'postgres://freehold:hunter2@localhost/x';
    const link = 'https://acme.localhost/-/invitations/abcdefghijklmnopqrstuvwx and /setup/abcdefghijklmnopqrstuvwx';
    const error = new Error(`cannot reach ${url}`, { cause: new Error(`from ${link}`) });
    const text =
      JSON.stringify(redact({ error, x: 'fhp_CCCCDDDD' })) + redactText(`__Host-freehold=AAAABBBB; x=1 ${url}`);
    assert.doesNotMatch(text, /hunter2|abcdefghijklmnop|AAAABBBB|CCCCDDDD/);
  });

  it('survives cycles by its depth limit', () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    assert.match(JSON.stringify(redact(cycle)), /\[deep\]/);
  });
});

describe('failpoints', () => {
  it('fail only where and when they are armed', async () => {
    armFailpoints('a.b=error@2,c=enospc');
    await failpoint('a.b');
    await assert.rejects(failpoint('a.b'), /failpoint a\.b/);
    await failpoint('a.b');
    await assert.rejects(failpoint('c'), { code: 'ENOSPC' });
    armFailpoints('');
  });

  it('kill the process without a chance to tidy', () => {
    const script = `const { armFailpoints, failpoint } = await import('./src/kernel/index.ts'); armFailpoints('x=kill'); process.on('exit', () => console.log('tidied')); await failpoint('x');`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.equal(child.signal, 'SIGKILL');
    assert.equal(child.stdout, '');
  });

  it('refuse a malformed setting', () => {
    assert.throws(() => armFailpoints('x=explode'), /malformed failpoint/);
  });
});

describe('retry', () => {
  it('stops at the first final error and after the last try', async () => {
    let tries = 0;
    const options = { attempts: 3, firstDelayMs: 1, maxDelayMs: 2 };
    await assert.rejects(
      retry({ ...options, isRetryable: () => false }, async () => {
        tries++;
        throw new Error('final');
      }),
      /final/,
    );
    assert.equal(tries, 1);
    await assert.rejects(
      retry({ ...options, isRetryable: () => true }, async () => {
        tries++;
        throw new Error('again');
      }),
      /again/,
    );
    assert.equal(tries, 4);
    assert.equal(
      await retry({ ...options, isRetryable: () => true }, async (attempt) => {
        if (attempt < 3) throw new Error('again');
        return attempt;
      }),
      3,
    );
  });
});
