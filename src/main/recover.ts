import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { buildCatalogue, type Catalogue, createCatalogueReader, restoreCluster } from '#src/backups/index.ts';
import {
  type CliContext,
  createProgressBar,
  formatBytes,
  formatFacts,
  print,
  printJson,
  UsageError,
} from '#src/cli/index.ts';
import { findBinaries } from '#src/clusters/index.ts';
import { createLog, formatLsn, systemClock } from '#src/kernel/index.ts';
import { type OpenKeyStore, openKeyStore, recoverKeyStore } from '#src/keys/index.ts';
import type { KeyId, KeyOwner } from '#src/keys/types.ts';
import { createDiskRegion, createDiskStore, type RegionStore } from '#src/objects/index.ts';
import { defaultDataDir, type Env, parseConfig } from './config.ts';
import { mainErrors } from './errors.ts';
import { ensureClusterFolders, ensureFolders, type Folders, foldersOf, foldersOfCluster } from './folders.ts';
import { restoredMarker } from './mail-services.ts';
import { ensureOsUsers, ensureServerUsers, type OsUser } from './os-users.ts';
import type { RecoverOptions } from './recover-command.ts';
import { type ClusterRecovery, planRecovery, type RecoveryRequest } from './recover-plan.ts';
import { createServerPlaces } from './server-places.ts';

const regionNames = ['a', 'b'] as const;

/** On an empty machine, from one region and the recovery kit. Nothing of Freehold runs while it works. */
export async function recover(context: CliContext, options: RecoverOptions): Promise<void> {
  const startedMs = performance.now();
  const env: Env = context.env;
  const dataDir = resolve(options.data ?? env.FREEHOLD_DATA ?? defaultDataDir(env));
  if (existsSync(dataDir) && readdirSync(dataDir).length > 0)
    throw mainErrors.FH_DATA_FOREIGN({
      detail: `${dataDir} is not empty; an installation is recovered into a new folder`,
    });
  const config = parseConfig({ ...env, FREEHOLD_DATA: dataDir });
  const { name, location } = parseRegion(options.region);
  const region = createDiskRegion({ region: name, root: location });
  const until = options.to === undefined ? undefined : parseTime(options.to);
  const kit = readFileSync(options.kit, 'utf8');
  const log = createLog({ level: 'warn', base: { process: 'recover', pid: process.pid } });
  const bar = createProgressBar(context.streams, 'Recovering');
  try {
    bar.show(0, 'keys');
    // Asked first: without the region nothing is made.
    await region.stat('installation');
    const users = ensureOsUsers();
    const folders = foldersOf(dataDir);
    ensureFolders(
      folders,
      users,
      config.regions.map((each) => each.location),
    );
    // Before anything that `up` could begin with: killed later, no message of before goes out either.
    writeDurably(restoredMarker(folders));
    rmdirSync(folders.keys);
    await recoverKeyStore({ folder: folders.keys, region, kit });
    const keys = await openKeyStore(folders.keys);
    if (users) giveAll(folders.keys, users.control);

    bar.show(0.02, 'looking at what the region holds');
    const catalogue = await buildCatalogue({ region, reader: createCatalogueReader(region, keys) });
    const recovery = planRecovery(catalogue, { until, ...(await readKeys(keys, catalogue)), clock: systemClock });
    const binaries = await findBinaries({ binDir: config.pgBinDir });
    const restore = (
      { plan, atLeast }: ClusterRecovery,
      into: string,
      osUser: OsUser | undefined,
      onFraction: (fraction: number, what: string) => void,
    ) =>
      restoreCluster({
        plan,
        region,
        keys,
        binaries,
        ...(osUser && { osUser }),
        log,
        into,
        ...(until === undefined && { target: { kind: 'end', atLeast } as const }),
        onProgress: ({ phase, fraction }) =>
          phase === 'files' ? onFraction(fraction / 2, 'base backup') : onFraction(0.5 + fraction / 2, 'log'),
      });
    const { main, others, left } = recovery;
    const share = 0.8 / (1 + others.length);
    const restored = await restore(main, folders.cluster, users?.postgres, (fraction, what) =>
      bar.show(0.05 + share * fraction, what),
    );
    const places = createServerPlaces(folders);
    for (const [index, other] of others.entries()) {
      places.take(other.name);
      const own = foldersOfCluster(folders, other.name);
      const serverUsers = users && ensureServerUsers(users, places.slotOf(other.name));
      ensureClusterFolders(own, serverUsers);
      await restore(other, own.cluster, serverUsers?.postgres, (fraction, what) =>
        bar.show(0.05 + share * (index + 1 + fraction), `${what} of the private server ${other.name}`),
      );
    }
    const files = await copyFiles(region, folders, (count) => bar.show(0.9, `${count} files`));
    await setUpOther(name, config.regions, folders);

    const tenants = [main, ...others]
      .flatMap(({ plan }) => plan.backup.manifest.databases)
      .filter(({ tenantId }) => tenantId).length;
    const withoutKey = [main, ...others].flatMap(({ plan }) => plan.unreadable.map((database) => database.name));
    const durationMs = Math.round(performance.now() - startedMs);
    const lastCommitAt = restored.lastCommitAt?.toISOString() ?? null;
    bar.end();
    if (options.json)
      return printJson(context, {
        dataDir,
        lastCommitAt,
        lsn: formatLsn(restored.lsn),
        tenants,
        privateServers: others.map(({ name }) => name),
        missingServers: left,
        withoutKey,
        files: files.count,
        durationMs,
      });
    print(
      context,
      'The installation is recovered.',
      '',
      formatFacts([
        ['data folder', dataDir],
        ['last change', lastCommitAt ?? 'before the base backup'],
        ['databases of tenants', String(tenants)],
        ...(others.length > 0 ? [['private servers', String(others.length)] as const] : []),
        ...left.map(({ name, reason }) => ['not recovered', `private server ${name}: ${reason}`] as const),
        ...(withoutKey.length > 0
          ? [
              [
                'left out',
                `${withoutKey.length} databases whose key the region has not: of tenants deleted for good`,
              ] as const,
            ]
          : []),
        ['files', `${files.count} (${formatBytes(files.bytes)})`],
        ['took', `${Math.round(durationMs / 1000)} s`],
      ]),
      '',
      'Start it, with the region where it is, and trust the new local certificate authority:',
      `  FREEHOLD_REGION_${name.toUpperCase()}=${location} ./freehold up --data ${dataDir}`,
    );
  } finally {
    bar.end();
  }
}

function parseRegion(text: string): { name: (typeof regionNames)[number]; location: string } {
  const [name, location] = [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)];
  const known = regionNames.find((each) => each === name);
  if (!known || !location) throw new UsageError('--region is a=FOLDER or b=FOLDER');
  return { name: known, location: resolve(location) };
}

function parseTime(text: string): Date {
  const time = new Date(text);
  if (!/(Z|[+-]\d\d:\d\d)$/.test(text) || Number.isNaN(time.getTime()))
    throw new UsageError(
      `--to needs a time with a time zone, for example 2026-11-22T03:00:00Z, not ${JSON.stringify(text)}`,
    );
  return time;
}

/**
 * Whose keys the region has. Whoever's it has not is taken for destroyed: what was destroyed leaves no trace in a region, so a copy that is missing looks the same, and
 * what is left out for it is told.
 */
async function readKeys(
  keys: OpenKeyStore,
  catalogue: Catalogue,
): Promise<Pick<RecoveryRequest, 'destroyedKeys' | 'hasKey'>> {
  const held = new Set<KeyOwner>();
  for await (const keyId of keys.keyIds()) held.add(ownerOf(keyId));
  const manifests = [...catalogue.clusters.values()].flatMap(({ backups }) =>
    backups.flatMap((backup) => ('manifest' in backup ? [backup.manifest] : [])),
  );
  const owners = manifests.flatMap(({ databases }) => databases.map(({ keyId }) => ownerOf(keyId)));
  return {
    destroyedKeys: new Set(owners.filter((owner) => !held.has(owner))),
    hasKey: ({ clusterId }) => held.has(clusterId),
  };
}

function ownerOf(keyId: KeyId): KeyOwner {
  return keyId.slice(0, keyId.lastIndexOf('.')) as KeyOwner;
}

async function copyFiles(
  region: RegionStore,
  folders: Folders,
  onFile: (count: number) => void,
): Promise<{ count: number; bytes: number }> {
  const vault = await createDiskStore(folders.files);
  let [count, bytes] = [0, 0];
  for await (const { name, sizeBytes } of region.list('files/')) {
    const content = await region.get(name);
    if (!content) continue;
    // Of what is refused before it was read, a full disk, nobody else lets go.
    const staged = await vault.stage(content).finally(() => content.destroy());
    try {
      await staged.publish(name.slice('files/'.length));
    } finally {
      await staged.discard();
    }
    onFile(++count);
    bytes += sizeBytes;
  }
  return { count, bytes };
}

/** The control database says that both regions were set up, so the new one must not look like a disk that is not mounted. */
async function setUpOther(
  left: string,
  regions: readonly { readonly region: string; readonly location: string }[],
  folders: Folders,
): Promise<void> {
  for (const { region, location } of regions) {
    if (region === left || !location.startsWith(folders.regions)) continue;
    await createDiskRegion({ region, root: location, initialise: true }).stat('installation');
  }
}

/** An empty file that outlasts a crash of the machine. */
function writeDurably(path: string): void {
  writeFileSync(path, '', { flush: true });
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Everything below a folder that nobody but root has seen yet. */
function giveAll(path: string, owner: OsUser): void {
  if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) giveAll(join(path, name), owner);
  chownSync(path, owner.uid, owner.gid);
}
