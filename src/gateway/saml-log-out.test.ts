import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWorld } from './test-world.ts';

const accept = 'text/html';
const type = { 'content-type': 'application/x-www-form-urlencoded' };
const from = { accept, origin: 'https://idp.example', 'sec-fetch-site': 'cross-site' };
const browser = { ...from, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
const frame = { ...browser, 'sec-fetch-dest': 'iframe' };
const path = '/-/sign-on/saml/log-out/con_1';
const state = 'r'.repeat(43);

test('log-out messages of a provider are judged as they came, without a look at cookies; answers are handed on by our page', async (t) => {
  const taken: [string, string, unknown][] = [];
  const world = await startWorld(t, {
    identity: {
      endFromProvider: async ({ tenant }, connectionId, received) => {
        taken.push([tenant.name, connectionId, received]);
        return 'https://idp.example/slo?SAMLResponse=x';
      },
    },
  });
  world.addSession('acme', 'token');
  const asked = world.asked.authenticate;
  const get = (query: string, headers: Record<string, string> = browser) =>
    world.request({ path: `${path}${query}`, cookie: 'token', headers });
  const post = (body: string, headers: Record<string, string> = browser) =>
    world.request({ path, method: 'POST', body, cookie: 'token', headers: { ...headers, ...type } });

  for (const headers of [browser, frame, { ...browser, 'sec-fetch-site': 'same-site' }, { accept }]) {
    const answer = await get('?SAMLRequest=a%2Bb&RelayState=%0d%0a&SigAlg=x&Signature=y', headers);
    assert.deepEqual([answer.status, answer.headers.location], [303, 'https://idp.example/slo?SAMLResponse=x']);
    assert.deepEqual(taken.pop(), [
      'acme',
      'con_1',
      { binding: 'redirect', rawQuery: 'SAMLRequest=a%2Bb&RelayState=%0d%0a&SigAlg=x&Signature=y' },
    ]);
    assert.equal(answer.headers['set-cookie'], undefined);
    assert.equal(answer.headers['cache-control'], 'no-store');
  }
  assert.equal((await post('SAMLRequest=YWJj%0D%0AZGVm', frame)).status, 303);
  assert.deepEqual(taken.pop(), ['acme', 'con_1', { binding: 'post', message: 'YWJjZGVm' }]);
  assert.equal((await post('SAMLRequest=YWJj&RelayState=%3Cx%3E')).status, 303);
  assert.deepEqual(taken.pop(), ['acme', 'con_1', { binding: 'post', message: 'YWJj', relayState: '<x>' }]);

  // An answer: the page reads the query itself, and a form is written into it.
  const held = '<form hidden id="saml-answer">';
  const page = await get(`?SAMLResponse=x&RelayState=${state}&SigAlg=x&Signature=y`);
  assert.deepEqual([page.status, page.body.includes(held), page.body.includes(state)], [200, false, false]);
  const form = await post(`SAMLResponse=YWJj&RelayState=${state}`);
  assert.deepEqual(
    [form.status, form.body.includes(`${held}<input type="hidden" name="samlResponse" value="YWJj">`)],
    [200, true],
  );
  for (const body of [
    '',
    'SAMLResponse=YWJj',
    `SAMLResponse=YWJj&RelayState=${state}&RelayState=${state}`,
    `SAMLResponse=YWJj&SAMLRequest=YWJj&RelayState=${state}`,
    'SAMLRequest=YWJj&SAMLRequest=YWJj',
    'SAMLRequest=%3Cscript%3Ealert(1)%3C/script%3E',
    `SAMLResponse=%22%3E%3Cscript%3Ealert(1)&RelayState=${state}`,
    'SAMLResponse=YWJj&RelayState=%22%3E%3Cscript%3Ealert(1)%3C/script%3E%3Cinput value=%22',
  ]) {
    const answer = await post(body);
    assert.deepEqual([answer.status, answer.body.includes(held), answer.body.includes('alert')], [400, false, false]);
  }
  assert.equal(world.asked.authenticate, asked);

  const refused: [Promise<{ status: number }>, number][] = [
    [get('?SAMLRequest=a', { ...from, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }), 403],
    [post('SAMLRequest=YWJj', { ...from, 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }), 403],
    [post(`SAMLRequest=${'A'.repeat(262_144)}`), 413],
    [
      world.request({ path, method: 'POST', body: '{}', headers: { ...browser, 'content-type': 'application/json' } }),
      415,
    ],
    // In a frame nothing else is to be had.
    [world.request({ path: '/-/sign-on/saml', method: 'POST', body: 'x', headers: { ...frame, ...type } }), 403],
    [world.request({ path: '/-/account', headers: frame }), 403],
  ];
  for (const [index, [answer, status]] of refused.entries()) assert.equal((await answer).status, status, `${index}`);
  assert.deepEqual(taken, []);
});

test('where the provider names no address for our answer, the browser gets our own page; a refusal has no trace of the message', async (t) => {
  let fails = false;
  const world = await startWorld(t, {
    identity: {
      endFromProvider: async () => {
        if (fails) throw new Error('SAML secret detail');
        return undefined;
      },
    },
  });
  const get = () => world.request({ path: `${path}?SAMLRequest=marker`, headers: browser });
  assert.equal((await get()).headers.location, '/-/signed-out');
  fails = true;
  const { status, body } = await get();
  assert.equal(status, 500);
  assert.doesNotMatch(body, /marker|secret|\.ts:/);
});
