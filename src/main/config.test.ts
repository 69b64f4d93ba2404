import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, test } from 'node:test';
import { FreeholdError } from '#src/kernel/index.ts';
import { backendsFor, parseConfig, settings } from './config.ts';
import { parseExternalDatabase, readSmtpServer } from './secrets.ts';

const invalid = (env: Record<string, string>, message: RegExp) =>
  assert.throws(
    () => parseConfig(env),
    (error) => error instanceof FreeholdError && error.code === 'FH_SETTING_INVALID' && message.test(error.message),
  );

describe('settings', () => {
  it('have defaults that fit one machine', () => {
    const config = parseConfig({});
    assert.equal(config.port, 8443);
    assert.equal(config.consolePort, 9443);
    assert.equal(config.domain, 'localhost');
    assert.equal(config.host, '127.0.0.1');
    assert.equal(config.consoleHost, '127.0.0.1');
    assert.ok(config.workers >= 1);
    assert.ok(config.backendBudget >= 80 && config.backendBudget <= 400);
  });

  it('give each GiB of memory sixteen connections, and an external server no more than it is known to have', () => {
    const gib = 2 ** 30;
    assert.deepEqual(
      [0.5, 4, 5, 7.9, 16, 25, 512].map((size) => backendsFor(size * gib)),
      [80, 80, 80, 126, 256, 400, 400],
    );
    assert.equal(parseConfig({ FREEHOLD_DATABASE_URL: 'postgres://fh:x@db/fh' }).backendBudget, 80);
    assert.equal(parseConfig({ FREEHOLD_BACKENDS: '24' }).backendBudget, 24);
  });

  it('refuse what is wrong, and name it', () => {
    invalid({ FREEHOLD_PORT: '0' }, /FREEHOLD_PORT/);
    invalid({ FREEHOLD_PORT: '8443.5' }, /FREEHOLD_PORT/);
    invalid({ FREEHOLD_PORT: '65536' }, /FREEHOLD_PORT/);
    invalid({ FREEHOLD_PORT: '9443' }, /different ports/);
    invalid({ FREEHOLD_DOMAIN: 'exa mple.com' }, /domain name/);
    invalid({ FREEHOLD_DOMAIN: '-x.com' }, /domain name/);
    invalid({ FREEHOLD_TLS_CERT: '/tmp/cert.pem' }, /go together/);
    invalid({ FREEHOLD_LOG_LEVEL: 'loud' }, /LOG_LEVEL/);
    invalid({ FREEHOLD_PLACE: 'Germany!' }, /FREEHOLD_PLACE/);
    invalid({ FREEHOLD_REGION_B_PLACE: 'eu_de' }, /FREEHOLD_REGION_B_PLACE/);
    invalid({ FREEHOLD_PROT: '8443' }, /FREEHOLD_PROT: there is no such setting/);
    invalid({ FREEHOLD_HEARTBEAT_URL: 'http://alarms.example.com/ping' }, /no https address/);
    invalid({ FREEHOLD_HEARTBEAT_URL: 'https://a:b@alarms.example.com/ping' }, /no https address/);
  });

  it('are all described in docs/operations.md, and nothing else is', () => {
    const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const described = new Set([...page.matchAll(/^\| `(FREEHOLD_[A-Z_]+)` \|/gm)].map((match) => match[1]));
    assert.deepEqual([...described].sort(), Object.keys(settings).sort());
    for (const text of Object.values(settings)) assert.ok(page.includes(text.replaceAll('|', '\\|')), text);
  });
});

describe('external database', () => {
  it('is parsed from its URL', () => {
    assert.deepEqual(parseExternalDatabase({ FREEHOLD_DATABASE_URL: 'postgres://fh:p%40ss@db.example:5433/fh' }), {
      host: 'db.example',
      port: 5433,
      database: 'fh',
      user: 'fh',
      password: 'p@ss',
      tls: 'verify-full',
    });
    assert.equal(parseExternalDatabase({}), undefined);
  });

  it('never travels in the clear, and errors never quote the password', () => {
    for (const url of [
      'postgres://fh:hunter2@db.example/fh?sslmode=verify-full&sslrootcert=ca.pem',
      'postgres://fh:hunter2@db.example/fh?sslmode=verify-full&sslrootcert=/nowhere/ca.pem',
      'postgres://fh:hunter2@localhost/fh?sslmode=disable&sslrootcert=/nowhere/ca.pem',
      'postgres://fh:hunter2@db.example/fh?sslmode=disable',
      'mysql://fh:hunter2@db/x',
      'postgres://fh:hunter2@',
      'postgres://fh:hunter2@:99999/x',
    ])
      assert.throws(
        () => parseExternalDatabase({ FREEHOLD_DATABASE_URL: url }),
        (error) => error instanceof FreeholdError && !/hunter2/.test(`${error.message}${error.detail}${error.hint}`),
        url,
      );
  });
});

test('a secret that is not where its setting says, and a mail server that is none, are named and never quoted', () => {
  for (const read of [parseExternalDatabase, readSmtpServer] as const) {
    const name = read === readSmtpServer ? 'FREEHOLD_SMTP_URL' : 'FREEHOLD_DATABASE_URL';
    assert.throws(() => read({ [`${name}_FILE`]: '/nowhere/at/all' }), {
      code: 'FH_SETTING_INVALID',
      detail: `${name}_FILE: /nowhere/at/all cannot be read (ENOENT)`,
    });
  }
  assert.throws(
    () => readSmtpServer({ FREEHOLD_SMTP_URL: 'me:hunter2@mail', FREEHOLD_MAIL_FROM: 'a@b.example' }),
    (error) =>
      error instanceof FreeholdError &&
      error.code === 'FH_MAIL_SETTING_INVALID' &&
      !/hunter2/.test(`${error.detail}${error.hint}`),
  );
});
