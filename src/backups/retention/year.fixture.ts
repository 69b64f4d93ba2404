/** A year of one cluster in one region, told by the clocks it had: failovers, clocks that jump, a region that is away, backups that fail or last. */
import type { KeyOwner } from '#src/keys/types.ts';
import { groupPieces, namesIn, toBackup } from '../catalogue/build.ts';
import {
  at,
  backupId,
  clusterId,
  database,
  manifestOf,
  type PlantedBase,
  type PlantedPiece,
  pieceOf,
  timelineOf,
} from '../catalogue/catalogue.fixture.ts';
import type { Catalogue, CataloguedDump, StoredObject, Timeline } from '../catalogue/types.ts';
import type { BackedUpDatabase } from '../types.ts';
import type { BackupInProgress } from './types.ts';

export const daySeconds = 86_400;
const stepsPerDay = 4;
const tenantCount = 20;

export interface YearOptions {
  readonly seed: number;
  /** Whether headers of WAL say commit times; `some`: half of the pieces. */
  readonly times: 'all' | 'some' | 'none';
}

interface Tenant {
  readonly id: `ten_${string}`;
  readonly oid: number;
  state: 'active' | 'suspended' | 'deleted';
  object: string;
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function createYear({ seed, times }: YearOptions) {
  const random = createRandom(seed);
  const chance = (probability: number) => random() < probability;
  const between = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));

  /** Everything that ever arrived and was not removed. */
  const stored = new Map<string, { object: StoredObject; trueSeconds: number }>();
  const pieces = new Map<string, PlantedPiece>();
  const manifests = new Map<string, PlantedBase>();
  const timelines = new Map<string, Timeline>();
  const dumps = new Map<string, CataloguedDump>();
  const verified = new Set<string>();
  const destroyed = new Set<KeyOwner>();
  const tenants: Tenant[] = [];
  let waiting: (() => void)[] = [];

  let seconds = 0;
  let position = 4;
  let timeline = 1;
  let ancestors: [number, number][] = [];
  let chunks: PlantedPiece[] = [];
  let serverOffset = 0;
  let regionOffset = 0;
  let awayUntil = 0;
  let backups = 0;
  let underWay:
    | { base: Omit<PlantedBase, 'stop' | 'finishedAt'>; stepsLeft: number; written: string[]; isKnown: boolean }
    | undefined;

  const serverClock = () => seconds + serverOffset;
  const id = (number: number) =>
    number
      .toString(32)
      .replace(/[ilou]/g, 'z')
      .padStart(4, '0');
  const letters = (number: number) => `ten_${id(number).padEnd(26, 'x')}` as Tenant['id'];

  function store(name: string, then?: () => void) {
    const deliver = () => {
      stored.set(name, { object: { name, sizeBytes: 1, storedAt: at(seconds + regionOffset) }, trueSeconds: arrived });
      then?.();
    };
    const arrived = seconds;
    if (seconds < awayUntil) waiting.push(deliver);
    else deliver();
  }

  function storePiece(piece: PlantedPiece) {
    const { name } = pieceOf(piece);
    store(name, () => pieces.set(name, piece));
  }

  function write(units: number) {
    for (let left = units; left > 0; left--) {
      const withTimes = times === 'all' || (times === 'some' && chance(0.5));
      const now = serverClock();
      const time = withTimes ? { first: now - between(0, 100), last: now } : {};
      // A new timeline is received from the beginning of its first segment.
      const start = chunks.length === 0 ? Math.floor(position / 4) * 4 : position;
      position++;
      const chunk = { timeline, start, end: position, ...time };
      chunks.push(chunk);
      storePiece(chunk);
      if (position % 4 === 0) compact();
    }
  }

  function compact() {
    const firsts = chunks.flatMap(({ first }) => first ?? []);
    const lasts = chunks.flatMap(({ last }) => last ?? []);
    const isTimed = firsts.length === chunks.length;
    const segment: PlantedPiece = {
      timeline,
      kind: 'segment',
      start: chunks[0]!.start,
      end: position,
      ...(isTimed && { first: Math.min(...firsts), last: Math.max(...lasts) }),
    };
    const names = chunks.map((chunk) => pieceOf(chunk).name);
    const stays = chance(0.1);
    chunks = [];
    const { name } = pieceOf(segment);
    store(name, () => {
      pieces.set(name, segment);
      verified.add(name);
      if (!stays) for (const chunk of names) forget(chunk);
    });
  }

  function forget(name: string) {
    for (const map of [stored, pieces, manifests, timelines, dumps]) map.delete(name);
  }

  function failOver() {
    const fork = Math.max(position - between(0, 3), (ancestors.at(-1)?.[1] ?? 4) + 1);
    ancestors = [...ancestors, [timeline, Math.min(fork, position)]];
    position = Math.min(fork, position);
    timeline++;
    chunks = [];
    underWay = undefined;
    const entry = timelineOf(timeline, ancestors, seconds + regionOffset);
    store(entry.name, () => timelines.set(entry.name, entry));
  }

  function beginBackup() {
    const name = id(++backups);
    const written: string[] = [];
    for (const tenant of tenants) {
      if (tenant.state === 'deleted' || (tenant.object && (tenant.state === 'suspended' || chance(0.7)))) continue;
      tenant.object = `data/${tenant.id}/${backupId(name)}_${tenant.oid}`;
      written.push(tenant.object);
    }
    for (const object of written) store(object);
    underWay = {
      base: { id: name, timeline, start: position, startedAt: serverClock() },
      stepsLeft: chance(0.1) ? between(2, 6) : 1,
      written,
      isKnown: chance(0.7),
    };
  }

  function endBackup({ base, written }: NonNullable<typeof underWay>) {
    underWay = undefined;
    if (chance(0.05)) {
      // Given up: what was written stays behind, and is not named by later backups.
      for (const tenant of tenants) if (written.includes(tenant.object)) tenant.object = '';
      return;
    }
    const databases: BackedUpDatabase[] = [
      database('postgres', 5, undefined, { object: `base/${clusterId}/${backupId(base.id)}/shared` }),
    ];
    const suspect = chance(0.08);
    for (const { id: tenant, oid, object, state } of tenants)
      if (object && state !== 'deleted')
        databases.push(
          database(`t_${oid}`, oid, tenant as never, {
            object,
            ...(suspect && chance(0.1) && { damagedFiles: ['1'] }),
          }),
        );
    const whole: PlantedBase = {
      ...base,
      stop: Math.max(position, base.start + 1),
      finishedAt: serverClock(),
      suspect,
      databases,
    };
    if (position <= base.start) write(1);
    const folder = `base/${clusterId}/${backupId(base.id)}/`;
    store(`${folder}shared`);
    store(`${folder}manifest`, () => manifests.set(`${folder}manifest`, whole));
  }

  /** A quarter of a day. */
  function step() {
    seconds += daySeconds / stepsPerDay;
    if (seconds >= awayUntil && waiting.length > 0) {
      const deliveries = waiting;
      waiting = [];
      for (const deliver of deliveries) deliver();
    }
    if (tenants.length < tenantCount && chance(0.5))
      tenants.push({ id: letters(tenants.length), oid: 20_000 + tenants.length, state: 'active', object: '' });
    if (chance(0.004)) serverOffset = chance(0.5) ? 0 : between(-3, 3) * daySeconds + between(-5_000, 5_000);
    if (chance(0.004)) regionOffset = chance(0.5) ? 0 : between(-3, 3) * daySeconds;
    if (seconds > awayUntil && chance(0.003)) awayUntil = seconds + 7 * daySeconds;
    write(between(0, 3));
    if (underWay && --underWay.stepsLeft <= 0) endBackup(underWay);
    if (chance(0.01)) failOver();
    else if (!underWay && (seconds / daySeconds) % 1 === 0.25) beginBackup();
    const anyTenant = tenants[between(0, tenants.length - 1)];
    if (anyTenant && anyTenant.state !== 'deleted') {
      if (chance(0.02)) anyTenant.state = anyTenant.state === 'active' ? 'suspended' : 'active';
      else if (chance(0.003) && tenants.length > 5) {
        anyTenant.state = 'deleted';
        destroyed.add(anyTenant.id as KeyOwner);
      }
      if (anyTenant.state === 'active') {
        const name = `dumps/${anyTenant.id}/dmp_${seconds}`;
        const madeAt = at(serverClock());
        store(name, () =>
          dumps.set(name, {
            ...stored.get(name)!.object,
            tenantId: anyTenant.id as never,
            dumpId: name.split('/')[2]!,
            madeAt,
          }),
        );
      }
    }
  }

  function catalogue(): Catalogue {
    const objects = [...stored.values()].map(({ object }) => object);
    const folders = Map.groupBy(
      objects.filter(({ name }) => name.startsWith('base/')),
      ({ name }) => name.split('/')[2]!,
    );
    const found = [...folders].map(([folder, own]) => {
      const manifestName = `base/${clusterId}/${folder}/manifest`;
      const base = manifests.get(manifestName);
      const place = {
        backupId: folder as never,
        clusterId,
        objects: own,
        storedAt: (stored.get(manifestName)?.object ?? own[0]!).storedAt,
      };
      return base
        ? toBackup(place, manifestOf(base), (name) => stored.get(name)?.object.sizeBytes)
        : { ...place, state: 'unfinished' as const };
    });
    const start = (backup: (typeof found)[number]) =>
      'startLsn' in backup ? Number(backup.startLsn) : Number.POSITIVE_INFINITY;
    const cluster = {
      clusterId,
      backups: found.sort((a, b) => (start(a) < start(b) ? -1 : 1)),
      timelines: new Map([...timelines.values()].map((entry) => [entry.timeline, entry])),
      pieces: groupPieces(
        [...pieces].map(([name, piece]) => ({ ...pieceOf(piece), storedAt: stored.get(name)!.object.storedAt })),
      ),
      unreadablePieces: [],
    };
    const data = new Map(objects.filter(({ name }) => name.startsWith('data/')).map((object) => [object.name, object]));
    return {
      region: 'north',
      clusters: new Map([[clusterId, cluster]]),
      data,
      dumps: [...dumps.values()],
      files: [],
      others: [],
      strangers: [],
    };
  }

  return {
    step,
    catalogue,
    remove: forget,
    random,
    verified,
    destroyed,
    tenants: tenants as readonly Tenant[],
    now: () => at(seconds),
    /** When an object was written, by the sun. */
    trueAgeDays: (name: string) => (seconds - (stored.get(name)?.trueSeconds ?? seconds)) / daySeconds,
    /** Some backups are under way without our knowing. */
    inProgress: (): BackupInProgress[] =>
      underWay?.isKnown ? [{ clusterId, backupId: backupId(underWay.base.id) }] : [],
    namesIn,
    counts: () => ({ objects: stored.size, backups, timeline, pieces: pieces.size }),
  };
}
