import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from './config.ts';
import { environmentOf } from './supervisor.ts';

test('a gateway is not told how control reaches the database, and nobody is told what is no setting', () => {
  const env = {
    FREEHOLD_DATABASE_URL: 'postgres://freehold_control:secret@127.0.0.1/freehold_control',
    FREEHOLD_DATABASE_URL_FILE: '',
    FREEHOLD_DOMAIN: 'example.test',
    HOME: '/root',
    AWS_SECRET_ACCESS_KEY: 'secret',
  };
  const config = parseConfig(env);
  const control = environmentOf('control', config, env);
  const gateway = environmentOf('gateway', config, env);
  assert.equal(control.FREEHOLD_DATABASE_URL, env.FREEHOLD_DATABASE_URL);
  assert.equal(gateway.FREEHOLD_DOMAIN, 'example.test');
  assert.equal(JSON.stringify(gateway).includes('secret'), false);
  for (const name of ['HOME', 'AWS_SECRET_ACCESS_KEY']) assert.equal(name in control, false);
  assert.doesNotThrow(() => parseConfig(gateway));
});
