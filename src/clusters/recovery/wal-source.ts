import type { Lsn } from '#src/kernel/index.ts';

/** Where recovery gets its WAL from. `undefined` says that something is certainly not there; whatever else goes wrong is thrown. */
export interface WalSource {
  /** One whole segment, 16 MiB, that begins at `start`; the last one is filled up with zeros. */
  openSegment(timeline: number, start: Lsn, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Content of the timeline's history file. Timeline 1 has none. */
  readHistory(timeline: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
}

export type WalFile =
  | { readonly kind: 'segment'; readonly timeline: number; readonly start: Lsn }
  | { readonly kind: 'history'; readonly timeline: number };

/** The name of a file that PostgreSQL asks for; undefined for those that no source of ours has (`.backup`, `.partial`). */
export function parseWalFileName(name: string, segmentBytes: bigint): WalFile | undefined {
  const history = /^([0-9A-F]{8})\.history$/.exec(name);
  if (history) return { kind: 'history', timeline: Number.parseInt(history[1]!, 16) };
  const segment = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/.exec(name);
  if (!segment) return undefined;
  const number = BigInt(`0x${segment[2]}`) * (0x100000000n / segmentBytes) + BigInt(`0x${segment[3]}`);
  return { kind: 'segment', timeline: Number.parseInt(segment[1]!, 16), start: number * segmentBytes };
}
