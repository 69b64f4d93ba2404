import { type BackupId, type ClusterId, isId, type Lsn, type TenantId, walSegmentBytes } from '#src/kernel/index.ts';
import type { ObjectName } from '#src/objects/types.ts';

/** What a name in a region says (decision 0010). A name proves nothing: what an object is stands in its authenticated header. */
export type NamedObject =
  | { readonly kind: 'wal' | 'segment'; readonly clusterId: ClusterId; readonly timeline: number; readonly start: Lsn }
  | { readonly kind: 'history'; readonly clusterId: ClusterId; readonly timeline: number }
  | { readonly kind: 'manifest' | 'base'; readonly clusterId: ClusterId; readonly backupId: BackupId }
  | { readonly kind: 'data'; readonly owner: ClusterId | TenantId }
  | { readonly kind: 'dump'; readonly tenantId: TenantId; readonly dumpId: string }
  | { readonly kind: 'file'; readonly tenantId: TenantId }
  | { readonly kind: 'other' };

/** undefined: a name outside the scheme. */
export function parseObjectName(name: ObjectName): NamedObject | undefined {
  const parts = name.split('/');
  const [folder, owner, third, fourth] = parts;
  switch (folder) {
    case 'wal':
    case 'segments': {
      if (parts.length !== 4 || !isId('clu', owner)) return undefined;
      const timeline = parseHexadecimal(third, 8);
      const number = parseHexadecimal(fourth, 16);
      if (timeline === undefined || number === undefined) return undefined;
      return folder === 'wal'
        ? { kind: 'wal', clusterId: owner, timeline: Number(timeline), start: number }
        : { kind: 'segment', clusterId: owner, timeline: Number(timeline), start: number * walSegmentBytes };
    }
    case 'history': {
      const timeline = parseHexadecimal(third, 8);
      if (parts.length !== 3 || !isId('clu', owner) || timeline === undefined) return undefined;
      return { kind: 'history', clusterId: owner, timeline: Number(timeline) };
    }
    case 'base':
      if (parts.length < 4 || !isId('clu', owner) || !isId('bak', third)) return undefined;
      return {
        kind: parts.length === 4 && fourth === 'manifest' ? 'manifest' : 'base',
        clusterId: owner,
        backupId: third,
      };
    case 'data':
      if (parts.length !== 3 || !(isId('clu', owner) || isId('ten', owner))) return undefined;
      return { kind: 'data', owner };
    case 'dumps':
      if (parts.length !== 3 || !isId('ten', owner) || !third) return undefined;
      return { kind: 'dump', tenantId: owner, dumpId: third };
    case 'files':
      return parts.length >= 3 && isId('ten', owner) ? { kind: 'file', tenantId: owner } : undefined;
    case 'installation':
    case 'keys':
    case 'kits':
      return { kind: 'other' };
    default:
      return undefined;
  }
}

function parseHexadecimal(text: string | undefined, digits: number): bigint | undefined {
  return text?.length === digits && /^[0-9a-f]+$/.test(text) ? BigInt(`0x${text}`) : undefined;
}
