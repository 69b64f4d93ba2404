/**
 * Two tenants that differ in nothing but their words: the second is a clone of the first, so users, e-mail addresses, passwords and the ids
 * of everything are the same. What tells them apart is written after the clone: marked texts in every field that can be changed, and
 * some objects that only one of the two has.
 */
import { randomName, type TenantId, waitFor } from '#src/kernel/index.ts';
import { type Internals, openInternals } from './internals.ts';
import type { Product } from './product/types.ts';
import type { Report } from './report.ts';
import { Inspector, type Objects, type Role, roles, Side } from './side.ts';
import { Wire } from './wire.ts';

export interface World {
  readonly product: Product;
  readonly internals: Internals;
  readonly inspector: Inspector;
  readonly report: Report;
  readonly wire: Wire;
  readonly a: Side;
  readonly b: Side;
  stop(): Promise<void>;
}

export const otherOf = ({ a, b }: Pick<World, 'a' | 'b'>, side: Side): Side => (side === a ? b : a);

/** `twins`: the second a clone of the first. `owners`: two tenants with nothing but an owner each. `nobody`: no tenants yet. */
export type WorldSize = 'nobody' | 'owners' | 'twins';

export async function createWorld(product: Product, report: Report, size: WorldSize): Promise<World> {
  const wire = new Wire(product.ca);
  const internals = await openInternals(product);
  const inspector = new Inspector(report, wire, product.doors, product.publicPort, () => randomName(10));
  const a = new Side('Quartz', `quartz-${randomName(8)}`, `Quartz Works ${randomName(6)}`, inspector);
  const b = new Side('Violet', `violet-${randomName(8)}`, `Violet Mills ${randomName(6)}`, inspector);
  const world: World = {
    product,
    internals,
    inspector,
    report,
    wire,
    a,
    b,
    async stop() {
      wire.close();
      await internals.stop();
    },
  };
  if (size !== 'nobody') await populate(world, size);
  return world;
}

async function populate(world: World, size: 'owners' | 'twins'): Promise<void> {
  const { product, a, b } = world;
  const email = `olga.${randomName(6)}@example.com`;
  await createTenant(product, a, email);
  if (size === 'owners') return createTenant(product, b, email);
  for (const role of ['admin', 'member'] as const) await invite(a, role);
  await fill(a);
  await runOperation(product, `/api/tenants/${a.tenantId}/clone`, { newName: b.name, title: b.title });
  await adoptClone(product, a, b);
  for (const side of [a, b]) {
    await markShared(world, side);
    await makeOwn(side);
  }
}

/** Makes the tenant and its owner. */
export async function createTenant(product: Product, side: Side, email: string): Promise<void> {
  const operation = await runOperation(product, '/api/tenants', {
    name: side.name,
    adminEmail: email,
    title: side.title,
  });
  side.tenantId = side.mark(operation.tenantId) as TenantId;
  const secret = await product.command('POST', `/api/operations/${operation.operationId}/secret-result`, {});
  side.people.owner = await side.accept({ role: 'owner', email, token: tokenOf(secret.json.invitationUrl) });
}

interface FinishedOperation {
  readonly operationId: string;
  readonly tenantId: string;
  readonly result: Readonly<Record<string, string | number>>;
}

/** Runs a lifecycle operation to its end; throws when it is refused or fails. */
export async function runOperation(product: Product, path: string, body: unknown): Promise<FinishedOperation> {
  const started = await product.command('POST', path, body);
  if (started.status !== 202) throw new Error(`${path} was refused: ${started.status} ${started.bytes}`);
  const { operationId } = started.json.operation;
  const operation = await waitFor(
    `${path} to end`,
    async () => {
      const { json } = await product.command('GET', `/api/operations/${operationId}`);
      return json.state === 'running' ? undefined : json;
    },
    { deadlineMs: 300_000, everyMs: 15 },
  );
  if (operation.state !== 'succeeded') throw new Error(`${path} ended ${operation.state}: ${operation.error?.text}`);
  return operation;
}

export function tokenOf(invitationUrl: string): string {
  return new URL(invitationUrl).pathname.split('/').at(-1)!;
}

async function invite(side: Side, role: Role): Promise<void> {
  const email = `${role}.${randomName(6)}@example.com`;
  const invited = await side.must('POST', '/-/api/invitations', { body: { email, role } });
  side.people[role] = await side.accept({ role, email, token: tokenOf(invited.json.url) });
}

/** What both tenants will have, in words that say nothing of either. */
async function fill(side: Side): Promise<void> {
  const project = (await side.must('POST', '/api/projects', { body: { key: 'LEDG', name: 'Ledger' } })).json.id;
  const makeItem = async (title: string): Promise<string> =>
    (await side.must('POST', '/api/items', { body: { project, title, tags: ['paper'] } })).json.id;
  const [item, item2] = [await makeItem('First entry'), await makeItem('Second entry')];
  const comment = (await side.must('POST', `/api/items/${item}/comments`, { body: { body: 'A remark' } })).json.id;
  const attachment = await attach(side, item, 'scan.txt', 'content that both have');
  const invited = await side.must('POST', '/-/api/invitations', {
    body: { email: 'guest@example.com', role: 'member' },
  });
  // Its name goes into the security log, and with that into the clone.
  const { token, tokenId } = await side.makeApiToken(side.people.owner, 'write', 'Program');
  side.apiTokens.shared = token;
  const directory = await side.makeScimToken('Directory');
  side.scim.shared = directory.token;
  const scimUser = await side.provision('Users', directory.token, {
    userName: `scim.${randomName(6)}@example.com`,
    externalId: 'both',
  });
  const group = { displayName: 'Readers', externalId: 'both', members: [{ value: scimUser }] };
  side.shared = {
    project,
    item,
    item2,
    comment,
    attachment,
    openImport: await uploadImport(side, 'Title,Note\nRow one,x\nRow two,y\n'),
    doneImport: await runImport(side, 'Title,Note\nRow three,x\n,y\n', { kind: 'existing', project }),
    invitation: invited.json.invitationId,
    invitationToken: tokenOf(invited.json.url),
    user: side.people.member.userId,
    session: '',
    apiToken: tokenId,
    scimToken: directory.tokenId,
    scimGroup: await side.provision('Groups', directory.token, group),
    scimUser,
  };
  side.secrets.add(side.shared.invitationToken);
}

async function attach(side: Side, item: string, name: string, content: string): Promise<string> {
  return (await side.must('POST', `/api/items/${item}/attachments`, { upload: { name, content } })).json.id;
}

let importsUploaded = 0;

export async function uploadImport(side: Side, content: string, name = 'rows.csv'): Promise<string> {
  const uploaded = await side.must('POST', '/api/imports', { upload: { name, content, mediaType: 'text/csv' } });
  const { id, mapping } = uploaded.json;
  // Imports of one file name would otherwise all make the project of that name, and only the first can.
  mapping.project.key = `R${(++importsUploaded).toString().replace(/\d/g, (digit) => 'ABCDEFGHIJ'[Number(digit)]!)}`;
  await side.must('PUT', `/api/imports/${id}/mapping`, { body: mapping });
  return id;
}

async function runImport(side: Side, content: string, project: object): Promise<string> {
  const id = await uploadImport(side, content);
  const { mapping } = (await side.must('GET', `/api/imports/${id}`)).json;
  await side.must('PUT', `/api/imports/${id}/mapping`, { body: { ...mapping, project } });
  await side.must('POST', `/api/imports/${id}/start`);
  await waitFor(
    'the import to be done',
    async () => {
      const { state } = (await side.must('GET', `/api/imports/${id}`)).json;
      if (state === 'failed') throw new Error('the import failed');
      return state === 'done';
    },
    { deadlineMs: 120_000, everyMs: 10 },
  );
  return id;
}

/** The clone has the users and ids of its source; sessions and invitations are its own. */
async function adoptClone(product: Product, a: Side, b: Side): Promise<void> {
  const { json } = await product.command('GET', `/api/tenants/${b.name}`);
  b.tenantId = b.mark(json.tenantId) as TenantId;
  b.shared = a.shared;
  for (const role of roles) b.people[role] = await b.signIn(a.people[role]);
}

/** The same object, other words: whoever mixes the two up shows the wrong ones. */
async function markShared({ internals }: World, side: Side): Promise<void> {
  const { project, item, item2, comment, attachment } = side.shared;
  for (const role of roles)
    await side.must('PATCH', '/-/api/profile', { as: side.people[role], body: { name: side.newMarker('Name') } });
  const found = (await side.must('GET', `/api/projects/${project}`)).json;
  await side.must('PATCH', `/api/projects/${project}`, {
    body: { version: found.version, name: side.newMarker('Project'), description: side.newMarker('About') },
  });
  for (const id of [item, item2]) {
    const { version } = (await side.must('GET', `/api/items/${id}`)).json;
    await side.must('PATCH', `/api/items/${id}`, {
      body: {
        version,
        title: side.newMarker('Title'),
        description: side.newMarker('Description'),
        tags: [side.mark(side.newMarker('tag').toLowerCase())],
        requester: { name: side.newMarker('Requester'), email: null },
      },
    });
  }
  await side.must('PATCH', `/api/comments/${comment}`, { body: { version: 1, body: side.newMarker('Comment') } });
  // Nothing in the product renames a file.
  const name = `${side.newMarker('File')}.txt`;
  const { tenantId } = side;
  await internals.write(tenantId, 'app', 'UPDATE app.attachments SET name = $1 WHERE attachment_id = $2', [
    name,
    attachment,
  ]);
  await internals.write(
    tenantId,
    'platform',
    `UPDATE freehold.files SET name = $1 WHERE file_id = (SELECT file_id FROM app.attachments WHERE attachment_id = $2)`,
    [name, attachment],
  );
}

/** Objects that only this tenant has: their ids are known to nobody else. */
async function makeOwn(side: Side): Promise<void> {
  // Sessions from before the clone are in the copied security log, as they should be.
  side.people.owner = await side.signIn(side.people.owner);
  const key = side.label.slice(0, 4).toUpperCase();
  const project = (await side.must('POST', '/api/projects', { body: { key, name: side.newMarker('Own') } })).json.id;
  const makeItem = async (): Promise<string> =>
    (await side.must('POST', '/api/items', { body: { project, title: side.newMarker('OwnTitle') } })).json.id;
  const [item, item2] = [await makeItem(), await makeItem()];
  const commented = await side.must('POST', `/api/items/${item}/comments`, { body: { body: side.newMarker('Said') } });
  const email = `${side.newMarker('guest').toLowerCase()}@example.com`;
  const invited = await side.must('POST', '/-/api/invitations', {
    body: { email: side.mark(email), role: 'member', name: side.newMarker('Guest') },
  });
  const { session } = (await side.must('GET', '/-/api/session')).json;
  const { token, tokenId } = await side.makeApiToken(side.people.owner);
  side.apiTokens.write = token;
  side.apiTokens.read = (await side.makeApiToken(side.people.owner, 'read')).token;
  const directory = await side.makeScimToken();
  side.scim.token = directory.token;
  const scimUser = await side.provision('Users', directory.token, {
    userName: side.mark(`${side.newMarker('person').toLowerCase()}@example.com`),
  });
  const row = `Title,Note\n${side.newMarker('Row')},x\n`;
  side.own = {
    project,
    item,
    item2,
    comment: commented.json.id,
    attachment: await attach(side, item, `${side.newMarker('OwnFile')}.txt`, side.newMarker('Content')),
    openImport: await uploadImport(side, row, `${side.newMarker('Csv')}.csv`),
    doneImport: await runImport(side, row, { kind: 'existing', project }),
    invitation: invited.json.invitationId,
    invitationToken: tokenOf(invited.json.url),
    user: side.people.owner.userId,
    session: session.sessionId,
    apiToken: tokenId,
    scimToken: directory.tokenId,
    scimGroup: await side.provision('Groups', directory.token, { displayName: side.newMarker('Group') }),
    scimUser,
  } satisfies Objects;
  side.secrets.add(side.own.invitationToken);
  side.mark(side.own.session);
  for (const kind of [
    'project',
    'item',
    'item2',
    'comment',
    'attachment',
    'openImport',
    'doneImport',
    'invitation',
    'apiToken',
    'scimToken',
    'scimGroup',
    'scimUser',
  ] as const)
    side.mark(side.own[kind]);
}
