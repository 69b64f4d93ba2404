/** Parse Server from npm: users and objects of three tenants with the same names. An application id, which is the name of the tenant, opens it. */
import assert from 'node:assert/strict';
import { describeNpmApp, type Use } from './npm-app.ts';

function parse({ client, peopleOf }: Use, method: string, path: string, body?: object) {
  return client.send(method, `/parse${path}`, body, { 'x-parse-application-id': peopleOf });
}

describeNpmApp({
  title: 'Parse Server',
  folder: 'parse-server',
  name: 'parse',
  healthPath: '/parse/health',
  async setUp(tenant) {
    const user = { username: 'ada', password: `quiet trams of ${tenant.peopleOf}` };
    const signedUp = await parse(tenant, 'POST', '/users', user);
    assert.equal(signedUp.status, 201, signedUp.text);
  },
  async write(tenant, points) {
    const { status, text } = await parse(tenant, 'POST', '/classes/Score', { points, player: 'ada' });
    assert.equal(status, 201, `${text}${tenant.troubles()}`);
  },
  async read(tenant) {
    // In a copy the application id is the name that the copy has.
    const { json, text } = await parse(
      { ...tenant, peopleOf: tenant.name },
      'GET',
      '/classes/Score?order=points&limit=1000',
    );
    assert.ok(Array.isArray(json?.results), text);
    return json.results.map(({ points }: { points: number }) => points);
  },
  async letsIn(tenant, peopleOf) {
    const password = encodeURIComponent(`quiet trams of ${peopleOf}`);
    const login = await parse({ ...tenant, peopleOf: tenant.name }, 'GET', `/login?username=ada&password=${password}`);
    if (peopleOf === tenant.name) return login.status === 200;
    // Nor does another tenant's application id open anything here.
    return login.status === 200 || (await parse({ ...tenant, peopleOf }, 'GET', '/classes/Score')).status !== 403;
  },
});
