/**
 * Barriers that stand behind others, each by itself: a leak needs all of them to fall, so each must be seen to stand. Otherwise the first would
 * fall unnoticed, and the product would be one mistake away from a leak.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTenantFiles } from '#src/files/index.ts';
import { objectNameOf } from '#src/files/names.ts';
import { createCachedLookup } from '#src/gateway/cached-lookup.ts';
import { createDirectoryClient } from '#src/gateway/directory-client.ts';
import { createDoor } from '#src/gateway/door.ts';
import { createLimitGuard } from '#src/gateway/limits.ts';
import { createLiveEvents } from '#src/gateway/live-events.ts';
import { defaultLimits } from '#src/gateway/types.ts';
import { createTokenCookie } from '#src/identity/index.ts';
import { type FileId, newId, redact, redactText, systemClock, type TenantId } from '#src/kernel/index.ts';
import { createSealer, openKeyStore } from '#src/keys/index.ts';
import type { KeyPurpose } from '#src/keys/types.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { Report } from '../report.ts';

const [a, b] = [newId('ten'), newId('ten')] as [TenantId, TenantId];

export async function probeBarriers(report: Report): Promise<void> {
  await probeKeys(report);
  probeCookieScopes(report);
  await probeStoredFiles(report);
  await probeDoorAnswer(report);
  await probeLookups(report);
  probeLimits(report);
  probeLiveEvents(report);
  probeRedaction(report);
}

/** Every tenant has a key of its own for every purpose. */
async function probeKeys(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fh-keys-'));
  try {
    const keys = await openKeyStore(folder);
    const purposes: readonly KeyPurpose[] = ['session-cookie', 'database-credentials', 'files', 'export'];
    const seen = new Map<string, string>();
    for (const tenantId of [a, b]) {
      await keys.createTenantKey(tenantId);
      for (const purpose of purposes) {
        const key = (await keys.deriveTenantKey(tenantId, purpose)).toString('hex');
        report.check('a key is for one tenant and one purpose', !seen.has(key), `${purpose}: same as ${seen.get(key)}`);
        seen.set(key, purpose);
      }
    }
    await keys.destroyTenantKey(a);
    const gone = await keys.deriveTenantKey(a, 'files').catch(() => undefined);
    report.check('a destroyed key is gone', gone === undefined);
    const kept = (await keys.deriveTenantKey(b, 'files')).toString('hex');
    report.check("and the other tenant's is not", seen.get(kept) === 'files');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A cookie names its tenant inside the seal: under one key for all it would still count at one tenant only. */
function probeCookieScopes(report: Report): void {
  const sealer = createSealer(Buffer.alloc(32, 7));
  const cookie = createTokenCookie({ name: '__Host-freehold', maxAgeSeconds: 60, sameSite: 'Lax' });
  const other = createTokenCookie({ name: '__Host-freehold-device', maxAgeSeconds: 60, sameSite: 'Lax' });
  const sealedValueOf = (line: string) => line.slice(line.indexOf('=') + 1, line.indexOf(';'));
  const value = sealedValueOf(cookie.set(sealer, a, Buffer.alloc(32, 1)));
  report.check('a cookie opens for its tenant', cookie.open(sealer, a, value) !== undefined);
  report.check('not for another, under the same key', cookie.open(sealer, b, value) === undefined);
  report.check('not as another cookie, under the same key', other.open(sealer, a, value) === undefined);
  const sealed = sealer.seal(Buffer.from('x'), 'one context');
  report.check(
    'a seal holds its context',
    opens(() => sealer.open(sealed, 'one context')),
  );
  report.check('and no other', !opens(() => sealer.open(sealed, 'another context')));
  report.check('nor another key', !opens(() => createSealer(Buffer.alloc(32, 8)).open(sealed, 'one context')));
}

function opens(open: () => unknown): boolean {
  try {
    open();
    return true;
  } catch {
    return false;
  }
}

/** One key for two tenants, and bytes moved from one's folder to the other's: still not the other's file. */
async function probeStoredFiles(report: Report): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'fh-files-'));
  try {
    const key = Buffer.alloc(32, 9);
    const rows = new Map<string, Record<string, unknown>>();
    const files = await createTenantFiles({
      root,
      databases: { platform: recordingDatabase(rows) },
      filesKeyOf: async () => key,
      clock: systemClock,
    });
    const put = (tenantId: TenantId) =>
      files.put(
        tenantId,
        (async function* () {
          yield Buffer.from('the same content');
        })(),
        { name: 'x.txt', mediaType: 'text/plain', maxBytes: 1_000, createdBy: 'system' },
      );
    const mine = await put(a);
    await put(b);
    const [from, to] = [objectNameOf(a, key, mine.sha256), objectNameOf(b, key, mine.sha256)];
    report.check('two tenants have two objects', from !== to && from.startsWith(a) && to.startsWith(b));
    const { copyFile } = await import('node:fs/promises');
    const opened = await readAll(files, b, mine.fileId);
    report.check('a file is found for its tenant', opened === undefined || opened === 'the same content');
    await copyFile(join(root, from), join(root, to));
    const moved = await readAll(files, b, rows.get(b)!.file_id as FileId);
    report.check("another tenant's bytes do not open", moved === undefined, moved);
    const own = await readAll(files, a, mine.fileId);
    report.check('its own do', own === 'the same content', own);
  } finally {
    rmSync(root, { recursive: true });
  }
}

async function readAll(
  files: Awaited<ReturnType<typeof createTenantFiles>>,
  tenantId: TenantId,
  fileId: FileId,
): Promise<string | undefined> {
  try {
    const opened = await files.open(tenantId, fileId);
    if (!opened) return undefined;
    const chunks: Buffer[] = [];
    for await (const chunk of opened.content) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString();
  } catch {
    return undefined;
  }
}

/** One row of freehold.files per tenant, as the two statements of the files folder write and read it. */
function recordingDatabase(rows: Map<string, Record<string, unknown>>) {
  const run = async <T>(tenantId: TenantId, fn: (db: never) => Promise<T>): Promise<T> =>
    fn({
      tenantId,
      async query(text: string, values: readonly unknown[] = []) {
        if (text.startsWith('INSERT')) {
          const [file_id, name, media_type, size_bytes, sha256, created_at] = values;
          rows.set(tenantId, { file_id, name, media_type, size_bytes, sha256, created_at });
        }
        const row = rows.get(tenantId);
        return text.startsWith('SELECT') && row?.file_id === values[0] ? [row] : [];
      },
    } as never);
  return { read: run, transact: run };
}

const route = (tenantId: TenantId, host: string): TenantRoute => ({
  tenantId,
  name: host.split('.')[0]!,
  title: host,
  state: 'active',
  app: 'desk',
  host,
});

/** The directory's answer must be about the host that was asked for. */
async function probeDoorAnswer(report: Report): Promise<void> {
  const door = createDoor({
    domain: 'localhost',
    publicPort: () => 8443,
    directory: { findRoute: async () => route(a, 'quartz.localhost') },
    limits: defaultLimits,
    clock: systemClock,
  });
  const ask = (name: string) =>
    door({
      method: 'GET',
      url: '/api/me',
      httpVersionMajor: 1,
      headers: { host: `${name}.localhost:8443` },
      rawHeaders: ['host', `${name}.localhost:8443`],
      socket: { servername: `${name}.localhost`, remoteAddress: '127.0.0.1' },
    } as unknown as IncomingMessage);
  report.check('its own host is answered', (await ask('quartz')).to === 'tenant');
  report.check('an answer about another host is not used', (await ask('violet')).to === 'nowhere');
}

/** What a gateway remembers: by host, by tenant, and not after control said that it changed. */
async function probeLookups(report: Report): Promise<void> {
  const routes = new Map([a, b].map((tenantId, at) => [at === 0 ? 'quartz.localhost' : 'violet.localhost', tenantId]));
  const accessOf = (tenantId: TenantId) => ({
    tenantId,
    cookieKey: Buffer.alloc(32).toString('base64'),
    filesKey: Buffer.alloc(32).toString('base64'),
    factorsKey: Buffer.alloc(32).toString('base64'),
    identityKey: Buffer.alloc(32).toString('base64'),
  });
  let loads = 0;
  const client = createDirectoryClient(
    {
      call: (async (method: string, { host, tenantId }: { host: string; tenantId: TenantId }) => {
        loads++;
        if (method === 'findRoute') return routes.has(host) ? route(routes.get(host)!, host) : null;
        return accessOf(tenantId);
      }) as never,
    },
    { clock: systemClock, publicKeyPem: undefined },
  );
  for (let round = 0; round < 2; round++) {
    for (const [host, tenantId] of routes) {
      const found = await client.findRoute(host);
      report.check('a route is remembered for its host', found?.tenantId === tenantId && found.host === host);
      const access = await client.getAccess(tenantId);
      report.check('an access is remembered for its tenant', access.tenantId === tenantId);
    }
  }
  report.check('both are remembered', loads === 4, `${loads} questions`);
  await client.changed(a);
  await Promise.all([client.findRoute('quartz.localhost'), client.getAccess(a), client.getAccess(b)]);
  report.check('what changed is asked anew, and nothing else', loads === 6, `${loads} questions`);
  await client.flush();
  await Promise.all([client.findRoute('violet.localhost'), client.getAccess(b)]);
  report.check('after a new link everything is', loads === 8, `${loads} questions`);

  const answers = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  let asked = 0;
  const lookup = createCachedLookup<string>({
    maxEntries: 10,
    ttlMs: 60_000,
    negativeTtlMs: 60_000,
    clock: systemClock,
    load: () => answers[Math.min(asked++, 1)]!.promise,
  });
  const flight = lookup.get('host');
  lookup.forget(() => true);
  answers[0]!.resolve('from before the change');
  answers[1]!.resolve('from after it');
  report.check('an answer that was on its way is not used', (await flight) === 'from after it');
}

/** One tenant's crowd is not counted against another. */
function probeLimits(report: Report): void {
  const guard = createLimitGuard({ ...defaultLimits, concurrentPerTenant: 2, streamsPerTenant: 1 });
  const take = (tenantId: TenantId) => opens(() => guard.takePlace(tenantId));
  report.check('a tenant has its places', take(a) && take(a));
  report.check('and no more', !take(a));
  report.check('another tenant has its own', take(b));
}

function probeLiveEvents(report: Report): void {
  const sent: TenantId[] = [];
  const live = createLiveEvents((tenantId) => void sent.push(tenantId));
  const heard: Record<string, string[]> = { a: [], b: [] };
  live.subscribe(a, (tenantId) => void heard.a!.push(tenantId));
  live.subscribe(b, (tenantId) => void heard.b!.push(tenantId));
  live.publish(a, { type: 'x', data: 1 });
  live.deliver(a, { type: 'x', data: 2 });
  report.check('subscribers of a tenant hear', heard.a!.length === 2, String(heard.a!.length));
  report.check('those of another do not', heard.b!.length === 0, String(heard.b!.length));
  report.check('other workers are told whose it is', sent.length === 1 && sent[0] === a);
}

/** No secret in a log line, wherever somebody put it. */
function probeRedaction(report: Report): void {
  const secret = 'Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA';
  const fields = [
    'password',
    'newPassword',
    'token',
    'invitationToken',
    'cookie',
    'set-cookie',
    'authorization',
    'key',
    'privateKey',
    'connectionString',
  ];
  for (const field of fields) {
    const text = JSON.stringify(redact({ request: { [field]: secret } }));
    report.check(`${field} is not logged`, !text.includes(secret), text);
  }
  for (const text of [
    `postgres://t_x:${secret}@localhost/t_x`,
    `GET /-/invitations/${secret}`,
    `/-/api/invitations/${secret}`,
    `https://x.localhost/setup#setup=${secret}`,
    `cookie: __Host-freehold=${secret}; __Host-freehold-device=${secret}`,
  ]) {
    report.check('a secret inside a text is not logged', !redactText(text).includes(secret), text);
    const error = JSON.stringify(redact({ error: new Error(text, { cause: new Error(text) }) }));
    report.check('nor inside an error', !error.includes(secret), error);
  }
  report.check('bytes are not logged', !JSON.stringify(redact({ x: Buffer.from(secret) })).includes(secret));
}
