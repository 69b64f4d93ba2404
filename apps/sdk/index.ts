/**
 * The contract of a Freehold app: a TypeScript module that exports an `App`.
 * An app receives the tenant's database, user and files, and can reach nothing else. It imports nothing of `src/`.
 */
import type { Readable } from 'node:stream';

export type Role = 'owner' | 'admin' | 'member';

/** JSON Schema 2020-12 as used by Fastify's validator. Objects should say `additionalProperties: false`. */
export type JsonSchema = Readonly<Record<string, unknown>>;

export interface App {
  readonly manifest: AppManifest;
  /** Folder of `NNNN_title.sql`, run in order as the tenant's app role in schema `app`; each file is one transaction. */
  readonly migrations: URL;
  /** Folder of the built page (`index.html` + `assets/`), served for every path that no route takes. */
  readonly web: URL;
  readonly routes: readonly RouteDefinition[];
  /** Fills a tenant with believable data for `up --demo`; runs once, as the first administrator. */
  readonly demo?: (context: AppContext, variant: number) => Promise<void>;
}

export interface AppManifest {
  /** Lower-case letters, digits and hyphens. */
  readonly name: string;
  readonly title: string;
  readonly version: string;
  readonly description: string;
}

export interface AppUser {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
}

export interface AppTenant {
  readonly id: string;
  readonly name: string;
  readonly title: string;
  /** `https://NAME.DOMAIN[:PORT]`, no trailing slash. */
  readonly url: string;
}

export interface AppDb {
  /** Runs one statement; values as $1… only. Numbers of type bigint and numeric arrive as strings, timestamps as Date. */
  query<R = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<R[]>;
}

export interface AppFile {
  readonly id: string;
  readonly name: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** What a handler gets. Everything in it belongs to one tenant and ends with the request. */
export interface AppContext {
  readonly user: AppUser;
  readonly tenant: AppTenant;
  readonly requestId: string;
  /** Aborts when the client is gone or the server drains. */
  readonly signal: AbortSignal;
  readonly db: {
    /** Read-only statements. */
    read<T>(fn: (db: AppDb) => Promise<T>): Promise<T>;
    /** One transaction: committed when `fn` returns, rolled back when it throws. */
    transact<T>(fn: (db: AppDb) => Promise<T>): Promise<T>;
  };
  readonly files: {
    put(
      content: AsyncIterable<Uint8Array>,
      info: { name: string; mediaType: string; maxBytes?: number },
    ): Promise<AppFile>;
    open(fileId: string): Promise<{ file: AppFile; content: Readable } | undefined>;
    remove(fileId: string): Promise<void>;
  };
  readonly users: {
    /** Active users of the tenant, ordered by name. */
    list(): Promise<AppUser[]>;
  };
  /** Sends to every signed-in page of this tenant that listens at `GET /api/events` (server-sent events). Call after commit. At most once. */
  publish(event: AppEvent): void;
  /** Goes on after the response with a context of its own; ends at drain. Errors are logged. */
  background(operation: string, work: (context: AppContext) => Promise<void>): void;
  now(): Date;
  /** `prefix_` + 26 random characters. */
  newId(prefix: string): string;
}

export interface AppEvent {
  /** For example `item.changed`. */
  readonly type: string;
  readonly data: unknown;
}

/** A file inside a multipart request. */
export interface UploadedFile {
  readonly name: string;
  readonly mediaType: string;
  readonly content: AsyncIterable<Uint8Array>;
}

export interface RouteInput {
  readonly params: Record<string, string>;
  readonly query: Record<string, unknown>;
  readonly body: unknown;
  /** Present on routes with `upload`. */
  readonly upload?: UploadedFile;
}

export interface RouteDefinition {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Begins with `/api/`; parameters as `:name`. */
  readonly path: string;
  /** Name in logs, metrics and OpenAPI, for example `desk.item.get`. */
  readonly operation: string;
  readonly summary: string;
  /** Roles that may call it. Default: every signed-in user. */
  readonly roles?: readonly Role[];
  readonly params?: JsonSchema;
  readonly query?: JsonSchema;
  readonly body?: JsonSchema;
  /** Schema of the success body, for OpenAPI and fast serialisation. */
  readonly response?: JsonSchema;
  /** Takes one file as multipart/form-data, field `file`, at most `maxBytes`. */
  readonly upload?: { readonly maxBytes: number };
  /** Largest JSON body in bytes. Default 262,144. */
  readonly bodyLimit?: number;
  handler(context: AppContext, input: RouteInput): Promise<RouteResult>;
}

export type RouteResult =
  | { readonly status?: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> }
  | { readonly file: AppFile; readonly content: Readable; readonly disposition: 'inline' | 'attachment' };

/** A refusal that the user may read. Becomes an RFC 9457 problem document with `code`. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly status: number;
  readonly code: string;
  readonly hint: string | undefined;
  readonly fields: Readonly<Record<string, string>> | undefined;

  /** @param code Begins with the app's name in capitals, for example `DESK_ITEM_NOT_FOUND`. */
  constructor(
    status: number,
    code: string,
    message: string,
    extra: { hint?: string; fields?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = extra.hint;
    this.fields = extra.fields;
  }
}
