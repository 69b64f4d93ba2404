/** Unleash from npm: feature flags of three teams, each with the same names, users and first password. */
import assert from 'node:assert/strict';
import { describeNpmApp, type Use } from './npm-app.ts';

const firstPassword = 'unleash4all';
const passwordOf = (tenant: string) => `Quiet-Trams-7-of-${tenant}`;
const features = '/api/admin/projects/default/features';

async function signIn({ client }: Use, password: string): Promise<number> {
  client.cookies.clear();
  return (await client.send('POST', '/auth/simple/login', { username: 'admin', password })).status;
}

/** Nobody is signed in for ever, and a copy of a tenant knows no browser of ours. */
async function stayIn(tenant: Use): Promise<void> {
  if ((await tenant.client.get(features)).status === 401)
    assert.equal(await signIn(tenant, passwordOf(tenant.peopleOf)), 200, tenant.troubles());
}

describeNpmApp({
  title: 'Unleash',
  folder: 'unleash',
  name: 'unleash',
  healthPath: '/health',
  // What is common to apps is shown by Parse Server; with FREEHOLD_SLOW_TESTS=1 by both.
  isShort: process.env.FREEHOLD_SLOW_TESTS !== '1',
  async setUp(tenant) {
    assert.equal(await signIn(tenant, firstPassword), 200, tenant.troubles());
    const password = passwordOf(tenant.peopleOf);
    const change = { oldPassword: firstPassword, password, confirmPassword: password };
    const changed = await tenant.client.send('POST', '/api/admin/user/change-password', change);
    assert.equal(changed.status, 200, changed.text);
    assert.equal(await signIn(tenant, password), 200);
  },
  async write(tenant, value) {
    await stayIn(tenant);
    const made = await tenant.client.send('POST', features, { name: `score-${value}`, type: 'release' });
    assert.equal(made.status, 201, `${made.text}${tenant.troubles()}`);
  },
  async read(tenant) {
    await stayIn(tenant);
    const { json, text } = await tenant.client.get(features);
    assert.ok(Array.isArray(json?.features), text);
    return json.features.map(({ name }: { name: string }) => Number(name.slice('score-'.length))).sort();
  },
  letsIn: async (tenant, peopleOf) => (await signIn(tenant, passwordOf(peopleOf))) === 200,
});
