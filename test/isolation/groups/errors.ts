/** What goes wrong, and what is written about it: neither an answer nor a log line tells of another tenant, a secret or our insides. */
import { randomName } from '#src/kernel/index.ts';
import type { Side } from '../side.ts';
import type { World } from '../world.ts';
import { describe } from './routes.ts';

export async function probeErrors(world: World): Promise<void> {
  await probeInternalError(world);
  await probeMalformed(world);
  await probeInvitationPages(world);
  probeLogs(world);
}

/** Words of our insides: SQL, names of tables, roles and files, stacks. */
const insides =
  /\b(select|insert|update|delete|relation|column|constraint|syntax error|postgres|pg_|sqlstate|t_[0-9a-z]{20}|node_modules|\.ts:|at async|ECONN|undefined|TypeError)\b/i;

async function probeInternalError({ report, internals, b }: World): Promise<void> {
  const rename = (from: string, to: string) =>
    internals.write(b.tenantId, 'app', `ALTER TABLE app.${from} RENAME TO ${to}`);
  await rename('items', 'items_elsewhere');
  try {
    await b.throughEveryDoor(async (door) => {
      for (const [method, path, body] of [
        ['GET', `/api/items/${b.shared.item}`, undefined],
        ['GET', '/api/summary', undefined],
        ['POST', '/api/items', { project: b.shared.project, title: 'x' }],
      ] as const) {
        const answer = await b.send(method, path, { as: b.people.owner, body, door });
        report.check('what nobody expected is an internal error', answer.status === 500, describe(answer));
        const text = answer.body.toString().replaceAll(String(answer.json?.requestId), '');
        report.check('it tells nothing of our insides', !insides.test(text), text);
        report.check('it has no detail', answer.json?.detail === undefined, describe(answer));
      }
    });
  } finally {
    await rename('items_elsewhere', 'items');
  }
}

async function probeMalformed({ report, a, b }: World): Promise<void> {
  const cases: readonly (readonly [method: string, path: string, body: unknown])[] = [
    ['GET', '/api/items?cursor=AAAA', undefined],
    ['GET', '/api/items?limit=abc', undefined],
    ['GET', `/api/items/${'x'.repeat(300)}`, undefined],
    ['GET', '/api/items/%ff%fe', undefined],
    ['GET', '/-/api/security-log?before=0', undefined],
    ['POST', '/api/items', { project: b.shared.project, title: 7 }],
    ['POST', '/api/items', { project: a.own.project, title: 'into the other tenant' }],
    ['POST', '/api/items', { project: b.shared.project, title: 'x', assigneeId: `usr_${randomName(26)}` }],
    ['POST', '/api/items/bulk', { itemIds: [a.own.item], set: { state: 'done' } }],
    ['POST', `/api/items/${b.own.item}/move`, { state: 'doing', beforeId: a.own.item }],
    ['POST', `/api/items/${b.own.item}/attachments?comment=${a.own.comment}`, undefined],
    ['PATCH', '/-/api/profile', { name: 'x', tenantId: a.tenantId }],
    ['POST', '/-/api/invitations', { email: 'not an address', role: 'member' }],
    ['POST', '/-/api/invitations', { email: a.people.owner.email, role: 'member', __proto__: null }],
  ];
  for (const [method, path, body] of cases) {
    const answer = await b.send(method, path, { as: b.people.owner, body });
    // A bulk change tells what was not there and changes nothing.
    const isRefused = path === '/api/items/bulk' ? answer.json?.changed?.length === 0 : answer.status >= 400;
    report.check(`${method} ${path.slice(0, 40)} is refused`, isRefused && answer.status < 500, describe(answer));
    report.check(
      'a refusal tells nothing of our insides',
      !insides.test(String(answer.json?.detail ?? '')),
      describe(answer),
    );
  }
}

/** Whoever opens the door's pages without being signed in learns the tenant's name at most. */
async function probeInvitationPages({ report, a, b }: World): Promise<void> {
  for (const path of [
    '/-/sign-in',
    `/-/invitations/${a.own.invitationToken}`,
    '/-/api/tenant',
    '/-/account/users',
    '/',
  ]) {
    for (const accept of ['text/html', 'application/json']) {
      const answer = await b.send('GET', path, { headers: { accept } });
      const content = [...b.markers].find(
        (marker) => marker !== b.name && marker !== b.title && answer.text.includes(marker),
      );
      report.check(`${path} tells strangers nothing`, content === undefined, content);
    }
  }
}

/** Lines of all processes: whose request, and nothing of what was in it. */
function probeLogs({ report, product, a, b }: World): void {
  const log = product.readLogs();
  const lines = log.split('\n');
  const byRequest = new Map<string, string>();
  for (const line of lines) {
    const id = /"requestId":"(req_[0-9a-z]+)"/.exec(line)?.[1];
    if (id) byRequest.set(id, `${byRequest.get(id) ?? ''}${line}\n`);
  }
  report.check('requests are logged', byRequest.size > 20, String(byRequest.size));
  for (const [side, other] of [
    [a, b],
    [b, a],
  ] as const) {
    let wrong: string | undefined;
    for (const id of side.requestIds) if (byRequest.get(id)?.includes(other.tenantId)) wrong ??= byRequest.get(id);
    report.check(`lines of requests to ${side.label} name no other tenant`, wrong === undefined, wrong);
    for (const secret of side.secrets) {
      if (secret === '') continue;
      report.check('a secret is not in the log', !log.includes(secret), () =>
        lineWith(lines, secret).replaceAll(secret, '…'),
      );
    }
    for (const word of contentOf(side)) {
      const isLogged = log.includes(word) || product.readServerLog().includes(word);
      report.check('content is not in the log', !isLogged, () => lineWith(lines, word));
    }
  }
}

function contentOf(side: Side): string[] {
  const known = new Set([side.name, side.title, side.tenantId]);
  return [...side.markers].filter((marker) => !known.has(marker) && !/^[a-z]{3}_/.test(marker));
}

function lineWith(lines: readonly string[], text: string): string {
  return lines.find((line) => line.includes(text))?.slice(0, 400) ?? '';
}
