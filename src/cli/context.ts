import type { Readable, Writable } from 'node:stream';
import type { CommandClient } from './client.ts';

export type Env = Readonly<Record<string, string | undefined>>;

export interface Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
}

/** What a command works with: where it reads and writes, and the installation it was given for. */
export interface CliContext {
  readonly env: Env;
  readonly streams: Streams;
  /** Connects to the running installation. @param dataDir `--data`, if it was given */
  connect(dataDir?: string): CommandClient;
  now(): number;
}

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly data?: string;
}

export function print(context: CliContext, ...lines: string[]): void {
  context.streams.stdout.write(`${lines.join('\n')}\n`);
}

/** The one line that a machine reads. */
export function printJson(context: CliContext, value: unknown): void {
  context.streams.stdout.write(`${JSON.stringify(value)}\n`);
}
