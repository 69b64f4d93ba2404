import type { RecordAudit } from '#src/audit/index.ts';
import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { tenantErrors } from './errors.ts';
import type { ControlDatabase } from './ports.ts';
import { findTenant, lockTenant, selectResidencies, updateResidency } from './sql.ts';
import { placePattern, type Residency } from './types.ts';

/** Where an installation keeps what it is given. A place without a name is in none that a tenant could have asked for. */
export interface Places {
  /** Of this machine: databases, files, the key store. */
  readonly home: string | undefined;
  /** Of each region: log, base backups, dumps, files and wrapped keys. */
  readonly regions: readonly { readonly region: string; readonly place: string | undefined }[];
}

/** As it is asked for. `copies` when left out: as `home`. */
export interface WantedResidency {
  readonly home: readonly string[];
  readonly copies?: readonly string[] | undefined;
}

const mostPlaces = 20;

/** @throws FH_RESIDENCY_INVALID */
export function parseResidency({ home, copies = home }: WantedResidency): Residency {
  return { home: parsePlaces(home), copies: parsePlaces(copies) };
}

function parsePlaces(places: readonly string[]): readonly string[] {
  const wrong = places.find((place) => !placePattern.test(place));
  if (wrong !== undefined) throw tenantErrors.FH_RESIDENCY_INVALID({ detail: JSON.stringify(wrong).slice(0, 100) });
  const distinct = [...new Set(places)].sort();
  if (distinct.length === 0 || distinct.length > mostPlaces)
    throw tenantErrors.FH_RESIDENCY_INVALID({ detail: `${distinct.length} places` });
  return distinct;
}

/** What of the installation lies outside of these places, in words; empty: all of it is inside. */
export function findOutside(residency: Residency, { home, regions }: Places): string[] {
  const isInside = (allowed: readonly string[], place: string | undefined) =>
    allowed.some((each) => place === each || place?.startsWith(`${each}-`));
  const where = (place: string | undefined) => (place === undefined ? 'has no named place' : `lies in ${place}`);
  return [
    ...(isInside(residency.home, home) ? [] : [`this machine ${where(home)}`]),
    ...regions
      .filter(({ place }) => !isInside(residency.copies, place))
      .map(({ region, place }) => `region ${region} ${where(place)}`),
  ];
}

/**
 * @param places undefined: nobody says where anything is
 * @throws FH_RESIDENCY_NOT_KEPT that names what lies elsewhere
 */
export function requireResidency(residency: Residency | undefined, places: Places | undefined): void {
  const outside = residency ? findOutside(residency, places ?? { home: undefined, regions: [] }) : [];
  if (outside.length > 0)
    throw tenantErrors.FH_RESIDENCY_NOT_KEPT({
      detail: `asked for: ${describeResidency(residency!)}; ${outside.join('; ')}`,
    });
}

/**
 * Before anything is written anywhere: settings that would carry a tenant's data out of its places are refused as a whole, because the log of the server holds
 * everybody's work. Deleted tenants count until their key is destroyed.
 *
 * @throws FH_RESIDENCY_NOT_KEPT that names one tenant
 */
export async function requireAllResidencies(db: Queryable, places: Places): Promise<void> {
  const broken = (await selectResidencies(db)).flatMap(({ name, ...residency }) => {
    const outside = findOutside(residency, places);
    return outside.length > 0 ? [{ name, residency, outside }] : [];
  });
  const [first] = broken;
  if (!first) return;
  const others = broken.length > 1 ? `; ${broken.length - 1} more are promised what does not hold` : '';
  const detail = `tenant ${first.name}: ${describeResidency(first.residency)}; ${first.outside.join('; ')}${others}`;
  throw tenantErrors.FH_RESIDENCY_NOT_KEPT({ detail });
}

/** @param residency null: anywhere */
export async function changeResidency(
  {
    db,
    places,
    recordAudit,
  }: { readonly db: ControlDatabase; readonly places: Places | undefined; readonly recordAudit: RecordAudit },
  tenantId: TenantId,
  residency: WantedResidency | null,
  actor: string,
): Promise<void> {
  const wanted = residency === null ? undefined : parseResidency(residency);
  requireResidency(wanted, places);
  await db.transaction(async (tx) => {
    const { state, name } = await lockTenant(tx, tenantId);
    if (state === 'deleted') throw tenantErrors.FH_TENANT_NOT_FOUND();
    const before = (await findTenant(tx, tenantId))?.residency;
    await updateResidency(tx, tenantId, wanted);
    await recordAudit(tx, {
      name: 'tenant.residency_changed',
      actor,
      subject: tenantId,
      tenantId,
      details: { name, from: describeResidency(before), to: describeResidency(wanted) },
    });
  });
}

function describeResidency(residency: Residency | undefined): string {
  if (!residency) return 'anywhere';
  const [home, copies] = [residency.home.join(', '), residency.copies.join(', ')];
  return home === copies ? home : `${home}, copies in ${copies}`;
}
