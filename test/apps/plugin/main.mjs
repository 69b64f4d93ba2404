/** A plugin for tests: counts events, and says what the API answers it. */
export default async function run(input, { api, state, log, tenant }) {
  if (input.trigger === 'events') {
    await state.set('people', ((await state.get('people')) ?? 0) + input.events.length);
    return;
  }
  const path = input.payload?.path ?? '/api/openapi.json';
  const answer = await api('GET', path);
  const refused = await api('POST', '/api/items', { title: 'x' }).catch((error) => error.code);
  log(`${tenant.name}: ${path} answers ${answer.status}`);
  return { status: answer.status, type: answer.headers['content-type'], refused, people: await state.get('people') };
}
