/** A tenant that is suspended, renamed, deleted, or whose name somebody else has now; and what an export carries. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBinaries } from '#src/clusters/index.ts';
import { randomName, waitFor } from '#src/kernel/index.ts';
import { foldersOf } from '#src/main/folders.ts';
import { openConnection, sqlState } from '#src/postgres/index.ts';
import type { Person } from '../side.ts';
import { Side } from '../side.ts';
import type { Listening } from '../wire.ts';
import { createTenant, runOperation, type World } from '../world.ts';
import { listen } from './events.ts';
import { describe } from './routes.ts';

export async function probeLifecycle(world: World): Promise<void> {
  const { inspector } = world;
  const side = new Side('Copper', `copper-${randomName(8)}`, `Copper Guild ${randomName(6)}`, inspector);
  await createTenant(world.product, side, `cora.${randomName(6)}@example.com`);
  const { json } = await side.must('POST', '/api/projects', { body: { key: 'COPP', name: side.newMarker('Project') } });
  const made = await side.must('POST', '/api/items', { body: { project: json.id, title: side.newMarker('Title') } });
  const upload = { name: 'a.txt', content: side.newMarker('Content') };
  await side.must('POST', `/api/items/${made.json.id}/attachments`, { upload });
  await probeSuspended(world, side);
  const renamed = await probeRenamed(world, side);
  await probeDeleted(world, side, renamed);
}

const readable = [
  '/api/me',
  '/-/api/session',
  '/-/api/openapi.json',
  '/-/api/tenant',
  '/-/sign-in',
  '/',
  '/api/events',
];

/** Asks for pages, data and descriptions through every worker, with and without cookies. */
async function expectClosed({ report }: World, side: Side, as: Person, status: number, code: string): Promise<void> {
  await side.throughEveryDoor(async (door) => {
    for (const path of readable) {
      for (const who of [as, undefined]) {
        const answer = await side.send('GET', path, { as: who, door, fresh: true });
        const isClosed = answer.status === status && answer.json?.code === code;
        report.check(`${code}: GET ${path}`, isClosed, describe(answer));
      }
    }
    const { email, password } = as;
    const signIn = await side.send('POST', '/-/api/session', { body: { email, password }, door, fresh: true });
    report.check(`${code}: sign-in`, signIn.status === status, describe(signIn));
  });
}

async function probeSuspended(world: World, side: Side): Promise<void> {
  const { report, internals, product } = world;
  const { owner } = side.people;
  const access = await internals.accessOf(side.tenantId);
  const streams: Listening[] = [];
  for (const door of side.doors.keys()) streams.push(await listen(world, side, door, owner));
  const connections = await Promise.all(
    (['app', 'platform'] as const).map((role) =>
      openConnection(internals.targetOf(access, role), { applicationName: 'isolation suite' }),
    ),
  );
  await side.throughEveryDoor(async (door) => {
    await side.must('GET', '/api/me', { door });
  });

  await runOperation(product, `/api/tenants/${side.name}/suspend`, {});
  await expectClosed(world, side, owner, 503, 'FH_TENANT_SUSPENDED');
  const ended = await waitFor('the streams to end', () => streams.every((stream) => stream.ended), {
    deadlineMs: 10_000,
  }).catch(() => false);
  report.check('event streams of a suspended tenant end', ended === true);
  for (const stream of streams) stream.close();
  for (const connection of connections) {
    const answer = await connection.query('SELECT 1').catch((error: unknown) => error);
    report.check('a connection from before is cut', answer instanceof Error);
    await connection.close();
  }
  for (const role of ['app', 'platform'] as const) {
    const state = await connectState(internals.targetOf(access, role));
    report.check('a suspended tenant cannot log in', state === '28000', `${role}: ${state}`);
  }
  const refused = await internals.gatewayAccessOf(side.tenantId).catch((error: { code?: string }) => error.code);
  report.check('gateways get no access', refused === 'FH_TENANT_NOT_ACTIVE', String(refused));

  await runOperation(product, `/api/tenants/${side.name}/resume`, {});
  await side.throughEveryDoor(async (door) => {
    const answer = await side.send('GET', '/api/me', { as: owner, door });
    report.check('resumed, its people go on', answer.status === 200, describe(answer));
  });
}

/** SQLSTATE of the refusal; undefined: let in. */
export async function connectState(target: Parameters<typeof openConnection>[0]): Promise<string | undefined> {
  try {
    const connection = await openConnection(target, { applicationName: 'isolation suite' });
    await connection.close();
    return undefined;
  } catch (error) {
    return sqlState(error) ?? String(error);
  }
}

async function probeRenamed(world: World, side: Side): Promise<Side> {
  const { report, product, inspector } = world;
  const renamed = new Side('Copper', `copper-${randomName(8)}`, side.title, inspector);
  renamed.tenantId = side.tenantId;
  renamed.people.owner = side.people.owner;
  for (const marker of side.markers) renamed.mark(marker);
  await runOperation(product, `/api/tenants/${side.name}/rename`, { newName: renamed.name });
  // They are one tenant: neither name is a secret of the other's door, but the old door must not tell of the new one.
  side.markers.clear();
  renamed.markers.delete(side.name);
  await expectClosed(world, side, side.people.owner, 404, 'FH_HOST_UNKNOWN');
  await renamed.throughEveryDoor(async (door) => {
    const answer = await renamed.send('GET', '/api/me', { as: renamed.people.owner, door });
    report.check('at its new name, its people go on', answer.status === 200, describe(answer));
  });
  await expectNameTaken(world, side.name);
  return renamed;
}

async function expectNameTaken({ report, product }: World, name: string): Promise<void> {
  const answer = await product.command('POST', '/api/tenants', { name, adminEmail: 'thief@example.com' });
  const isTaken = answer.json?.code === 'FH_TENANT_NAME_TAKEN';
  report.check('a name that was given up is held back', isTaken, answer.bytes.toString());
}

async function probeDeleted(world: World, first: Side, side: Side): Promise<void> {
  const { report, product, internals, inspector } = world;
  const { owner } = side.people;
  const invited = await side.must('POST', '/-/api/invitations', { body: { email: 'late@example.com', role: 'admin' } });
  const token = new URL(invited.json.url).pathname.split('/').at(-1)!;
  const access = await internals.accessOf(side.tenantId);
  const folders = foldersOf(product.dataDir);
  const filesFolder = join(folders.files, side.tenantId);
  const wrappedKey = join(folders.keys, 'tenants', side.tenantId);
  report.check('there is something to delete', existsSync(filesFolder) && existsSync(wrappedKey));

  await runOperation(product, `/api/tenants/${side.name}/delete`, { confirm: side.name });
  await expectClosed(world, side, owner, 410, 'FH_TENANT_DELETED');
  // Where backups are kept its key outlives it for a while; then, or when somebody asks for it, that goes as well.
  const kept = await internals.control.query('SELECT 1 FROM tenants WHERE tenant_id = $1 AND key_due_at IS NOT NULL', [
    side.tenantId,
  ]);
  if (kept.length > 0)
    await runOperation(product, `/api/tenants/${side.tenantId}/delete`, { confirm: side.name, now: true });
  report.check('its files are gone', !existsSync(filesFolder), filesFolder);
  const hasKey = await internals.keys.hasTenantKey(side.tenantId);
  report.check('its key is gone', !hasKey && !hasPlainKey(wrappedKey), wrappedKey);
  const left = await internals.control.query<{ name: string }>(
    `SELECT datname AS name FROM pg_database WHERE datname = $1 UNION SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)`,
    [access.database.name],
  );
  report.check('its database and roles are gone', left.length === 0, left.map(({ name }) => name).join(', '));
  const secrets = await internals.control.query('SELECT 1 FROM tenant_secrets WHERE tenant_id = $1', [side.tenantId]);
  report.check('its passwords are gone', secrets.length === 0);
  await expectNameTaken(world, side.name);
  await expectNameTaken(world, first.name);

  // Ninety days later somebody else has the name.
  await internals.control.query(`UPDATE tenant_names SET held_until = now() - interval '1 day' WHERE name = $1`, [
    side.name,
  ]);
  const heir = new Side('Heir', side.name, `Heir ${randomName(6)}`, inspector);
  // The name is the heir's now.
  side.markers.delete(side.name);
  await createTenant(product, heir, owner.email);
  report.check('the heir has a database of his own', heir.tenantId !== side.tenantId);
  await heir.throughEveryDoor(async (door) => {
    const answer = await heir.send('GET', '/api/me', { as: owner, door });
    report.check("cookies of the name's last owner", answer.status === 401, describe(answer));
    const invitation = await heir.send('GET', `/-/api/invitations/${token}`, { door });
    report.check("an invitation of the name's last owner", invitation.status === 404, describe(invitation));
    const items = await heir.send('GET', '/api/items', { as: heir.people.owner, door });
    report.check('the heir begins with nothing', items.json?.items?.length === 0, describe(items));
  });
  const { email, password } = owner;
  const signIn = await heir.send('POST', '/-/api/session', { body: { email, password } });
  report.check("the password of the name's last owner", signIn.status === 401, describe(signIn));
}

function hasPlainKey(folder: string): boolean {
  return existsSync(join(folder, '1.key'));
}

/** The archive of one tenant: all of its words, none of the other's, and nothing that lets somebody in. */
export async function probeExport({ report, product, internals, a, b }: World): Promise<void> {
  const { operationId } = await runOperation(product, `/api/tenants/${b.name}/export`, {});
  const { bytes } = await product.command('GET', `/api/exports/${operationId}/download`);
  const folder = mkdtempSync(join(tmpdir(), 'fh-export-'));
  try {
    writeFileSync(join(folder, 'archive.tar'), bytes);
    execFileSync('tar', ['-xf', 'archive.tar'], { cwd: folder });
    const { binDir } = await findBinaries({ binDir: process.env.FREEHOLD_PG_BIN });
    const dump = execFileSync(join(binDir, 'pg_restore'), ['-f', '-', join(folder, 'database.dump')], {
      encoding: 'utf8',
      maxBuffer: 1e9,
    });
    const text = dump + readFileSync(join(folder, 'manifest.json'), 'utf8') + bytes.toString('latin1');
    for (const marker of a.markers)
      report.check('nothing of the other tenant is exported', !text.includes(marker), marker);
    const own = [...b.markers].filter((marker) => text.includes(marker));
    report.check('its own words are', own.length > 20, String(own.length));
    for (const table of ['sessions', 'invitations', 'known_devices', 'api_tokens', 'scim_tokens']) {
      const connection = await internals.connect(b.tenantId, 'platform');
      const rows = await connection.query<{ hash: string }>(
        `SELECT encode(token_hash, 'hex') AS hash FROM freehold.${table}`,
      );
      await connection.close();
      const exported = rows.filter(({ hash }) => text.includes(hash)).length;
      report.check(`no ${table} are exported`, rows.length > 0 && exported === 0, `${exported} of ${rows.length}`);
    }
    const { app, platform } = await internals.accessOf(b.tenantId);
    for (const { password } of [app, platform])
      report.check('no password of a role is exported', !text.includes(password));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
