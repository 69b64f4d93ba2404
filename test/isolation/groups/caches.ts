/** Every readable route at both tenants in turn, through every worker: what one tenant was told is never told to the other. */
import type { Side } from '../side.ts';
import type { World } from '../world.ts';
import { describe } from './routes.ts';

export async function probeCaches(world: World): Promise<void> {
  const { report, a, b } = world;
  const { item, project, doneImport, openImport, attachment } = b.shared;
  const paths = [
    '/api/me',
    '/api/users',
    '/api/summary',
    '/api/tags',
    '/api/projects',
    `/api/projects/${project}`,
    `/api/projects/${project}/board`,
    '/api/items?limit=100&sort=created',
    '/api/items?q=entry',
    `/api/items/${item}`,
    `/api/items/${item}/comments`,
    `/api/items/${item}/history`,
    `/api/items/${item}/attachments`,
    `/api/attachments/${attachment}/content`,
    '/api/exports/items.csv',
    '/api/imports',
    `/api/imports/${doneImport}`,
    `/api/imports/${openImport}`,
    `/api/imports/${doneImport}/refused`,
    '/-/api/session',
    '/-/api/sessions',
    '/-/api/profile',
    '/-/api/users',
    '/-/api/invitations',
    '/-/api/security-log',
    '/-/api/tenant',
  ];
  await b.throughEveryDoor(async (door) => {
    for (const path of paths) {
      for (const side of [a, b, a]) {
        const answer = await side.send('GET', path, { as: side.people.owner, door });
        report.check(`GET ${path} in turn`, answer.status === 200, describe(answer));
        report.check(`GET ${path} differs by cookie`, varies(answer.headers['cache-control']), describe(answer));
      }
    }
  });
  await probeTitles(world);
  await probeAtOnce(world);
  await probeCursors(world);
}

/** Only what is the same for everybody may be kept without a look at who asks. */
function varies(cacheControl: string | string[] | undefined): boolean {
  return /no-store|no-cache/.test(String(cacheControl));
}

async function probeTitles({ report, a, b }: World): Promise<void> {
  await b.throughEveryDoor(async (door) => {
    for (const side of [b, a]) {
      const { json } = await side.send('GET', '/api/me', { as: side.people.owner, door });
      const { name, title, url } = json?.tenant ?? {};
      report.check('the tenant by name', name === side.name, name);
      report.check('the tenant by title', title === side.title, title);
      report.check('the tenant by address', url === `https://${side.authority}`, url);
    }
  });
}

/** Many requests of both tenants side by side, reads and writes: connections and contexts are not mixed up. */
async function probeAtOnce({ report, a, b }: World): Promise<void> {
  const round = async (side: Side, at: number) => {
    const as = side.people.owner;
    const door = at % side.doors.length;
    if (at % 3 === 0) {
      const body = { body: side.newMarker('Burst') };
      const answer = await side.send('POST', `/api/items/${side.shared.item}/comments`, { as, door, body });
      return report.check('written at once', answer.status === 201, describe(answer));
    }
    const path = at % 2 === 0 ? '/api/users' : `/api/items/${side.shared.item}/comments?limit=100`;
    const answer = await side.send('GET', path, { as, door });
    return report.check('read at once', answer.status === 200, describe(answer));
  };
  await Promise.all(Array.from({ length: 60 }, (_, at) => round(at % 2 === 0 ? a : b, at >> 1)));
}

/** A page's cursor, taken at one tenant and shown to the other, opens nothing of the first. */
async function probeCursors({ report, a, b }: World): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const path of [
      '/api/items?limit=1',
      '/api/items?limit=1&sort=title',
      `/api/items/${from.shared.item}/history?limit=1`,
    ]) {
      const { nextCursor } = (await from.must('GET', path)).json;
      const target = `${path}&cursor=${encodeURIComponent(nextCursor ?? 'none')}`;
      const answer = await to.send('GET', target, { as: to.people.owner });
      report.check("the other tenant's cursor", [200, 400].includes(answer.status), describe(answer));
    }
    const { nextBefore } = (await from.must('GET', '/-/api/security-log?limit=1')).json;
    const log = await to.send('GET', `/-/api/security-log?before=${nextBefore}`, { as: to.people.owner });
    report.check("the other tenant's place in the security log", log.status === 200, describe(log));
  }
}
