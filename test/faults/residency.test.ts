/**
 * Where data may be, looked at in every store: a region that would carry a bound tenant's log elsewhere gets nothing, however the settings are wrong, and what runs
 * writes into this machine's folder and the two regions alone. The same e-mails and ids at both tenants.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Freehold, until } from '../acceptance/harness.ts';
import { newName } from './support/lifecycle.ts';
import {
  attach,
  command,
  contentOf,
  createTenant,
  finish,
  type Installation,
  type Tenant,
} from './support/operator.ts';
import { findProcesses } from './support/processes.ts';

let stores: string;
let freehold: Freehold;
let at: Installation;
let acme: Tenant;
let globex: Tenant;
let env: Record<string, string>;

before(async () => {
  stores = mkdtempSync(join(tmpdir(), 'freehold-stores-'));
  // The parts of an installation are users of their own.
  chmodSync(stores, 0o711);
  env = {
    FREEHOLD_STANDBY: 'on',
    FREEHOLD_PREPARED_DATABASES: '0',
    FREEHOLD_PLACE: 'eu-de',
    FREEHOLD_REGION_A: region('nl'),
    FREEHOLD_REGION_A_PLACE: 'eu-nl',
    FREEHOLD_REGION_B: region('fr'),
    FREEHOLD_REGION_B_PLACE: 'eu-fr',
  };
  freehold = await Freehold.start({ env });
  at = { dataDir: freehold.dataDir, port: freehold.port };
  acme = await createTenant(at, newName(), { residency: { home: ['eu-de'], copies: ['eu'] } });
  globex = await createTenant(at, newName());
});
after(async () => {
  await freehold?.stop();
  await acme?.client.close();
  await globex?.client.close();
  rmSync(stores, { recursive: true, force: true });
});

/** As an operator makes or mounts it: there, and empty. */
function region(name: string): string {
  const folder = join(stores, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

const filesIn = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((one) => one.isFile())
        .map((one) => join(one.parentPath, one.name))
    : [];

/** Regular files that processes of the installation hold open for writing. */
function openForWriting(dataDir: string): string[] {
  return findProcesses(dataDir).flatMap(({ pid }) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        const flags = Number.parseInt(
          /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))![1]!,
          8,
        );
        const path = readlinkSync(`/proc/${pid}/fd/${fd}`);
        return (flags & 3) !== 0 && path.startsWith('/') && !path.startsWith('/dev/') ? [path] : [];
      });
    } catch {
      return [];
    }
  });
}

test('a tenant that asks for elsewhere leaves nothing anywhere', async () => {
  const name = newName();
  const refused = await command(at, 'POST', '/api/tenants', {
    name,
    adminEmail: 'ada@example.com',
    residency: { home: ['us'] },
  });
  assert.equal(refused.status, 409);
  assert.equal(refused.json.code, 'FH_RESIDENCY_NOT_KEPT');
  assert.equal((await command(at, 'GET', `/api/tenants/${name}`)).status, 404);
  const change = await command(at, 'PUT', `/api/tenants/${globex.tenantId}/residency`, {
    residency: { home: ['eu-de'] },
  });
  assert.equal(change.json.code, 'FH_RESIDENCY_NOT_KEPT');
});

test('what runs writes into this machine and the two regions alone', async () => {
  await attach(acme.client, acme.itemId, 'where am I?');
  await finish(at, `/api/tenants/${acme.tenantId}/export`, {});
  await until('log in both regions', async () => filesIn(region('nl')).length > 3 && filesIn(region('fr')).length > 3);
  const elsewhere = openForWriting(at.dataDir).filter(
    (path) => !path.startsWith(at.dataDir) && !path.startsWith(stores),
  );
  assert.deepEqual(elsewhere, []);
});

const wrong: readonly { readonly what: string; readonly settings: Record<string, string>; readonly says: RegExp }[] = [
  {
    what: 'a region that lies elsewhere',
    settings: { FREEHOLD_REGION_B: 'us', FREEHOLD_REGION_B_PLACE: 'us-east' },
    says: /region b lies in us-east/,
  },
  {
    what: 'a region whose place nobody says',
    settings: { FREEHOLD_REGION_B: 'unknown', FREEHOLD_REGION_B_PLACE: '' },
    says: /region b has no named place/,
  },
  {
    what: 'a machine that lies elsewhere',
    settings: { FREEHOLD_PLACE: 'eu-at', FREEHOLD_REGION_B: 'at' },
    says: /this machine lies in eu-at/,
  },
];

test('settings that would carry a bound tenant elsewhere are refused, and nothing is written there', async () => {
  const { dataDir, port, consolePort } = freehold;
  await freehold.stop({ keepData: true });
  for (const { what, settings, says } of wrong) {
    const folder = region(settings.FREEHOLD_REGION_B!);
    const started = Freehold.start({
      env: { ...env, ...settings, FREEHOLD_REGION_B: folder },
      dataDir,
      port,
      consolePort,
    });
    await assert.rejects(started, (error: Error) => {
      assert.match(error.message, /outside of the places that were promised/, what);
      assert.match(error.message, says);
      assert.match(error.message, new RegExp(acme.name));
      return true;
    });
    assert.deepEqual(filesIn(folder), [], what);
    assert.deepEqual(findProcesses(dataDir), [], what);
  }
});

test('with the places that were agreed, everything is there again', async () => {
  const { dataDir, port, consolePort } = freehold;
  freehold = await Freehold.start({ env, dataDir, port, consolePort });
  const { json } = await command(at, 'GET', `/api/tenants/${acme.name}`);
  assert.deepEqual(json.residency, { home: ['eu-de'], copies: ['eu'] });
  assert.notEqual(await contentOf(acme.client), await contentOf(globex.client));
});
