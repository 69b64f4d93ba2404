import { isIP } from 'node:net';
import { availableParallelism, homedir, totalmem } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { type LogLevel, toFreeholdError } from '#src/kernel/index.ts';
import { parseAllowed } from '#src/outgoing/index.ts';
import { placePattern } from '#src/tenants/types.ts';
import { mainErrors } from './errors.ts';

/** Everything that may be set, read once at the root. Secrets are not here but in secrets.ts. */
export interface Config {
  /** Absolute path of the data folder. */
  readonly dataDir: string;
  /** Tenants live at `NAME.domain`. */
  readonly domain: string;
  readonly port: number;
  /** Port that users type, when something forwards to `port`. Default: `port`. */
  readonly publicPort: number;
  /** Listening address of the gateway. Default: 127.0.0.1 for the domain `localhost`, `::` otherwise. */
  readonly host: string;
  /** Additional listener that redirects plain HTTP; undefined: none (the gateway's own port redirects as well). */
  readonly httpPort: number | undefined;
  readonly consolePort: number;
  readonly consoleHost: string;
  /** Gateway worker processes. Default: one per core. */
  readonly workers: number;
  /** Certificate chain and key (PEM files) instead of the local authority. */
  readonly tlsCertificates: readonly { readonly certificateFile: string; readonly keyFile: string }[];
  /** Folder of PostgreSQL's programs; undefined: the newest supported one found. */
  readonly pgBinDir: string | undefined;
  /** True when FREEHOLD_DATABASE_URL(_FILE) names an external server. */
  readonly externalDatabase: boolean;
  /** Whether the embedded cluster keeps a standby. */
  readonly standby: 'on' | 'off';
  /** Who decides that the standby takes over. */
  readonly failover: 'manual' | 'automatic';
  /** Whether WAL of the embedded cluster is shipped to the regions. */
  readonly backups: 'on' | 'off';
  /** Where backups lie: folders or S3, each with the name it has in messages and metrics. */
  readonly regions: readonly RegionConfig[];
  /** Where this machine is; undefined: nobody says. */
  readonly place: string | undefined;
  /** How long the key of a deleted tenant is kept, so that it can be restored. 0: not at all. */
  readonly deletionGraceDays: number;
  /** Every moment of the last so many days stays restorable from each region. */
  readonly retentionDays: number;
  /** Of a rebuilding from one region; 0: no limit. */
  readonly recoveryTimeLimitMs: number;
  /** Backends that gateways may open together. */
  readonly backendBudget: number;
  /** Connections one tenant may hold in one worker. */
  readonly backendsPerTenant: number;
  readonly statementTimeoutMs: number;
  /** Prepared databases kept ready for new tenants; 0: none. */
  readonly preparedDatabases: number;
  /** What apps that are processes may use together while they are awake. */
  readonly appsMemoryBytes: number;
  /** To the databases, of all apps that are processes and awake. */
  readonly appsConnections: number;
  /** What the caches of one private server are measured by. */
  readonly privateMemoryBytes: number;
  /** Absolute path of a list of breached passwords; undefined: none. */
  readonly breachedPasswords: string | undefined;
  /** Fetched every minute while nothing is wrong; undefined: nobody listens. May hold a secret. */
  readonly heartbeatUrl: string | undefined;
  /** Servers besides those of the public internet that tenants may name, as src/outgoing reads them; and authorities (PEM file) that vouch for them. */
  readonly outgoing: { readonly allow: readonly string[]; readonly caFile: string | undefined };
  /** Name servers that are asked for proofs of domains: addresses, or addresses with a port. Empty: those of this machine. */
  readonly dnsServers: readonly string[];
  readonly logLevel: LogLevel;
  readonly failpoints: string;
}

export interface RegionConfig {
  /** `a` or `b`. */
  readonly region: string;
  /** An absolute folder, or `s3://BUCKET/PREFIX?endpoint=…&region=…`. */
  readonly location: string;
  /** For S3: a file that holds `ACCESS_KEY_ID:SECRET_ACCESS_KEY`. */
  readonly keyFile: string | undefined;
  /** Where it is; undefined: nobody says. */
  readonly place: string | undefined;
}

export type Env = Readonly<Record<string, string | undefined>>;

/** Names, defaults and meaning of the settings; docs/operations.md lists exactly these (tested). */
export const settings = {
  FREEHOLD_DATA: 'Data folder. Default: /var/lib/freehold as root, ~/.local/share/freehold otherwise.',
  FREEHOLD_DOMAIN: 'Tenants live at NAME.DOMAIN. Default: localhost.',
  FREEHOLD_PORT: 'Port of the gateway. Default: 8443.',
  FREEHOLD_PUBLIC_PORT: 'Port that users type, when something forwards to FREEHOLD_PORT. Default: the same.',
  FREEHOLD_HOST: 'Address that the gateway listens on. Default: 127.0.0.1 for the domain localhost, :: for any other.',
  FREEHOLD_HTTP_PORT: 'One more port that redirects plain HTTP. Default: none.',
  FREEHOLD_CONSOLE_PORT: 'Port of the console. Default: 9443.',
  FREEHOLD_CONSOLE_HOST: 'Address that the console listens on. Default: 127.0.0.1.',
  FREEHOLD_WORKERS: 'Gateway processes. Default: one per core.',
  FREEHOLD_TLS_CERT: 'Certificate chain (PEM file) for the domain and its tenants. Default: a local authority.',
  FREEHOLD_TLS_KEY: 'Private key (PEM file) of FREEHOLD_TLS_CERT.',
  FREEHOLD_PG_BIN: "Folder of PostgreSQL's programs. Default: the newest supported one found.",
  FREEHOLD_DATABASE_URL:
    'An external PostgreSQL server instead of our own: postgres://ROLE:PASSWORD@HOST:PORT/DATABASE.',
  FREEHOLD_DATABASE_URL_FILE: 'A file that holds FREEHOLD_DATABASE_URL.',
  FREEHOLD_STANDBY: 'on or off: whether our own PostgreSQL keeps a standby. Default: on.',
  FREEHOLD_FAILOVER:
    'manual, or automatic: a primary that has not answered for 30 seconds is replaced without asking. Default: manual.',
  FREEHOLD_BACKUPS: 'on or off: whether the log of our own PostgreSQL is shipped to the regions. Default: on.',
  FREEHOLD_HEARTBEAT_URL:
    'An https address (http on this machine only) that control fetches every minute while nothing is wrong, so that who listens there notices silence. Default: none.',
  FREEHOLD_BREACHED_PASSWORDS:
    'A file of breached passwords that no new one may be among: SHA-1 hashes in order, as Have I Been Pwned gives them out. Default: none; common ones are built in.',
  FREEHOLD_OUTGOING_ALLOW:
    'Identity providers, and servers that plugins declare, that are not on the public internet, with commas between: NAME, NAME:PORT, ADDRESS:PORT or a range such as 10.1.0.0/16. Default: none.',
  FREEHOLD_OUTGOING_CA_FILE:
    'Certificate authorities (PEM file) that identity providers may have besides the public ones. Default: none.',
  FREEHOLD_DNS_SERVERS:
    'Name servers that are asked whether a tenant rules a mail domain, with commas between: ADDRESS or ADDRESS:PORT. Default: those of the machine.',
  FREEHOLD_SMTP_URL:
    'The mail server: smtps://USER:PASSWORD@HOST or smtp://USER:PASSWORD@HOST:587. Default: none; messages are read in the console.',
  FREEHOLD_SMTP_URL_FILE: 'A file that holds FREEHOLD_SMTP_URL.',
  FREEHOLD_MAIL_FROM: 'Address that messages come from. Needed with FREEHOLD_SMTP_URL.',
  FREEHOLD_REGION_A:
    'Where the first region lies: a folder, or s3://BUCKET/PREFIX?endpoint=URL&region=NAME. Default: regions/a in the data folder.',
  FREEHOLD_REGION_A_KEY_FILE: 'For S3: a file that holds ACCESS_KEY_ID:SECRET_ACCESS_KEY of the first region.',
  FREEHOLD_PLACE:
    'Where this machine is, for example eu-de: tenants whose data must stay somewhere are held to it. Default: none.',
  FREEHOLD_REGION_A_PLACE: 'Where the first region is, likewise. Default: none.',
  FREEHOLD_REGION_B_PLACE: 'Where the second region is. Default: none.',
  FREEHOLD_REGION_B:
    'Where the second region lies, on another machine at best; likewise. Default: regions/b in the data folder.',
  FREEHOLD_REGION_B_KEY_FILE: 'The same for the second region.',
  FREEHOLD_DELETION_GRACE_DAYS:
    'Days that the key of a deleted tenant is kept, so that it can be restored; 0: destroyed at once. Default: 7.',
  FREEHOLD_RETENTION_DAYS:
    'Every moment of so many days stays restorable from each region; what is older goes. Default: 180.',
  FREEHOLD_RECOVERY_TIME_LIMIT:
    'Minutes that rebuilding everything from one region may take; health warns before the drills come to it. 0: no limit. Default: 240.',
  FREEHOLD_BACKENDS:
    'Database connections that all gateways may open together. Default: 16 per GiB of memory, at least 80 and at most 400; 80 with an external server.',
  FREEHOLD_BACKENDS_PER_TENANT: 'Database connections one tenant may hold in one gateway. Default: 8.',
  FREEHOLD_STATEMENT_TIMEOUT_MS: 'Longest statement of an app. Default: 30000.',
  FREEHOLD_APPS_MEMORY_MB:
    'Memory that apps that are processes may use together while they are awake. Default: half of the machine.',
  FREEHOLD_APPS_CONNECTIONS:
    'Database connections that apps that are processes may be promised together while they are awake. Default: 16 per GiB of memory, at least 100.',
  FREEHOLD_PRIVATE_MEMORY_MB:
    'Memory that the PostgreSQL server of one tenant of the Private Cloud edition is set up for. Default: 1024.',
  FREEHOLD_PREPARED_DATABASES: 'Databases kept ready for new tenants. Default: 4.',
  FREEHOLD_LOG_LEVEL: 'debug, info, warn, error or silent. Default: info.',
  FREEHOLD_FAILPOINTS: 'For tests only: where to fail on purpose; opens /api/failpoints on the command socket.',
} as const satisfies Record<`FREEHOLD_${string}`, string>;
export type SettingName = keyof typeof settings;

/** Parses the environment; throws FH_SETTING_INVALID that names the variable. Unknown FREEHOLD_ variables are refused: a typo must not pass. */
export function parseConfig(env: Env): Config {
  for (const name of Object.keys(env)) {
    if (name.startsWith('FREEHOLD_') && !(name in settings) && !foreignVariables.has(name)) {
      throw invalid(name, 'there is no such setting', 'See docs/operations.md for the list.');
    }
  }
  const text = (name: SettingName): string | undefined => env[name]?.trim() || undefined;
  const whole = (name: SettingName, fallback: number, min: number, max: number): number => {
    const raw = text(name);
    if (raw === undefined) return fallback;
    const value = Number(raw);
    if (!Number.isInteger(value) || value < min || value > max)
      throw invalid(name, `"${raw}" is not a whole number from ${min} to ${max}`);
    return value;
  };
  /** One of a few words; the first is the default. */
  const choice = <T extends string>(name: SettingName, words: readonly [T, ...T[]]): T => {
    const raw = text(name) ?? words[0];
    const word = words.find((each) => each === raw);
    if (word === undefined) throw invalid(name, `"${raw}" is not ${words.join(' or ')}`);
    return word;
  };
  const domain = (text('FREEHOLD_DOMAIN') ?? 'localhost').toLowerCase();
  if (
    !/^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(domain) ||
    domain.length > 190
  )
    throw invalid('FREEHOLD_DOMAIN', `"${domain}" is not a domain name`);
  const port = whole('FREEHOLD_PORT', 8443, 1, 65_535);
  const consolePort = whole('FREEHOLD_CONSOLE_PORT', 9443, 1, 65_535);
  if (port === consolePort) throw invalid('FREEHOLD_CONSOLE_PORT', 'the gateway and the console need different ports');
  const certificateFile = text('FREEHOLD_TLS_CERT');
  const keyFile = text('FREEHOLD_TLS_KEY');
  if ((certificateFile === undefined) !== (keyFile === undefined))
    throw invalid('FREEHOLD_TLS_CERT', 'FREEHOLD_TLS_CERT and FREEHOLD_TLS_KEY go together');
  const externalDatabase = Boolean(text('FREEHOLD_DATABASE_URL') ?? text('FREEHOLD_DATABASE_URL_FILE'));
  const logLevel = text('FREEHOLD_LOG_LEVEL') ?? 'info';
  if (!isLogLevel(logLevel))
    throw invalid('FREEHOLD_LOG_LEVEL', `"${logLevel}" is not debug, info, warn, error or silent`);
  const httpPort = whole('FREEHOLD_HTTP_PORT', 0, 0, 65_535);
  const dataDir = resolve(text('FREEHOLD_DATA') ?? defaultDataDir(env));
  const placeOf = (name: SettingName): string | undefined => {
    const place = text(name);
    if (place !== undefined && !placePattern.test(place))
      throw invalid(name, `"${place}" is not a place such as eu or eu-de`);
    return place;
  };
  const regions = (['a', 'b'] as const).map((region): RegionConfig => {
    const letter = region.toUpperCase() as 'A' | 'B';
    const location = text(`FREEHOLD_REGION_${letter}`) ?? join(dataDir, 'regions', region);
    const keyFile = text(`FREEHOLD_REGION_${letter}_KEY_FILE`);
    const place = placeOf(`FREEHOLD_REGION_${letter}_PLACE`);
    if (!location.includes('://')) return { region, location: resolve(location), keyFile: undefined, place };
    if (!keyFile) throw invalid(`FREEHOLD_REGION_${letter}_KEY_FILE`, `region ${region} is not a folder and needs it`);
    return { region, location, keyFile: resolve(keyFile), place };
  });
  if (regions[0]!.location === regions[1]!.location)
    throw invalid('FREEHOLD_REGION_B', 'the two regions must be two places');
  return {
    dataDir,
    domain,
    port,
    publicPort: whole('FREEHOLD_PUBLIC_PORT', port, 1, 65_535),
    host: text('FREEHOLD_HOST') ?? (domain === 'localhost' ? '127.0.0.1' : '::'),
    httpPort: httpPort === 0 ? undefined : httpPort,
    consolePort,
    consoleHost: text('FREEHOLD_CONSOLE_HOST') ?? '127.0.0.1',
    workers: whole('FREEHOLD_WORKERS', availableParallelism(), 1, 64),
    tlsCertificates:
      certificateFile && keyFile ? [{ certificateFile: resolve(certificateFile), keyFile: resolve(keyFile) }] : [],
    pgBinDir: text('FREEHOLD_PG_BIN'),
    externalDatabase,
    standby: choice('FREEHOLD_STANDBY', ['on', 'off']),
    failover: choice('FREEHOLD_FAILOVER', ['manual', 'automatic']),
    backups: choice('FREEHOLD_BACKUPS', ['on', 'off']),
    regions,
    place: placeOf('FREEHOLD_PLACE'),
    deletionGraceDays: whole('FREEHOLD_DELETION_GRACE_DAYS', 7, 0, 90),
    recoveryTimeLimitMs: whole('FREEHOLD_RECOVERY_TIME_LIMIT', 240, 0, 525_600) * 60_000,
    retentionDays: whole('FREEHOLD_RETENTION_DAYS', 180, 1, 36_500),
    backendBudget: whole('FREEHOLD_BACKENDS', externalDatabase ? 80 : backendsFor(memoryBytes()), 2, 10_000),
    backendsPerTenant: whole('FREEHOLD_BACKENDS_PER_TENANT', 8, 1, 1_000),
    statementTimeoutMs: whole('FREEHOLD_STATEMENT_TIMEOUT_MS', 30_000, 100, 3_600_000),
    preparedDatabases: whole('FREEHOLD_PREPARED_DATABASES', 4, 0, 1_000),
    appsMemoryBytes:
      whole('FREEHOLD_APPS_MEMORY_MB', Math.max(256, Math.floor(totalmem() / 2 ** 21)), 64, 2 ** 24) * 2 ** 20,
    appsConnections: whole('FREEHOLD_APPS_CONNECTIONS', Math.max(100, Math.floor(totalmem() / 2 ** 26)), 1, 10_000),
    privateMemoryBytes: whole('FREEHOLD_PRIVATE_MEMORY_MB', 1024, 256, 2 ** 24) * 2 ** 20,
    breachedPasswords: absolutePath('FREEHOLD_BREACHED_PASSWORDS', text('FREEHOLD_BREACHED_PASSWORDS')),
    heartbeatUrl: heartbeatUrl(text('FREEHOLD_HEARTBEAT_URL')),
    dnsServers: nameServers(text('FREEHOLD_DNS_SERVERS')),
    outgoing: {
      allow: allowedServers(text('FREEHOLD_OUTGOING_ALLOW')),
      caFile: absolutePath('FREEHOLD_OUTGOING_CA_FILE', text('FREEHOLD_OUTGOING_CA_FILE')),
    },
    logLevel,
    failpoints: text('FREEHOLD_FAILPOINTS') ?? '',
  };
}

/** Read by processes that stand in other folders. */
function absolutePath(name: SettingName, path: string | undefined): string | undefined {
  if (path !== undefined && !isAbsolute(path)) throw invalid(name, `"${path}" does not begin with /`);
  return path;
}

function allowedServers(list: string | undefined): readonly string[] {
  const entries = (list ?? '').split(',').map((entry) => entry.trim());
  const named = entries.filter((entry) => entry !== '');
  try {
    parseAllowed(named);
  } catch (error) {
    const { detail = '', hint } = toFreeholdError(error);
    throw invalid('FREEHOLD_OUTGOING_ALLOW', detail, hint);
  }
  return named;
}

function nameServers(list: string | undefined): readonly string[] {
  const servers = (list ?? '')
    .split(',')
    .map((server) => server.trim())
    .filter(Boolean);
  for (const server of servers) {
    const [, bracketed, plain = bracketed ?? server] = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(server) ?? [];
    if (isIP(bracketed ?? plain) === 0) throw invalid('FREEHOLD_DNS_SERVERS', `"${server}" is no address`);
  }
  return servers;
}

/** The address may hold a secret, so no error quotes it. */
function heartbeatUrl(given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const isOnThisMachine = url && /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  const isEncrypted = url?.protocol === 'https:' || (url?.protocol === 'http:' && isOnThisMachine);
  if (!url || !isEncrypted || url.username || url.password)
    throw invalid('FREEHOLD_HEARTBEAT_URL', 'it is no https address without a password');
  return url.href;
}

/**
 * Connections that are worth their memory: an idle backend takes 1.5 to 2 MB, a busy one some more, so this is about a twentieth of the machine.
 * Fewer than there are busy tenants, and requests wait for connections to be opened (some milliseconds each).
 */
export function backendsFor(bytes: number): number {
  return Math.min(400, Math.max(80, Math.floor((bytes / 2 ** 30) * 16)));
}

/** Of this machine, or what this container may use of it. */
function memoryBytes(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

export function defaultDataDir(env: Env): string {
  if (process.getuid?.() === 0) return '/var/lib/freehold';
  const base = env.XDG_DATA_HOME;
  return join(base && isAbsolute(base) ? base : join(homedir(), '.local', 'share'), 'freehold');
}

/** Variables of the launcher and of the tests, which are not settings of the product. */
const foreignVariables = new Set([
  'FREEHOLD_CHROMIUM',
  'FREEHOLD_TEST_CLUSTER',
  'FREEHOLD_TICKETS_CSV',
  'FREEHOLD_SEED',
  'FREEHOLD_SLOW_TESTS',
]);

function isLogLevel(value: string): value is LogLevel {
  return ['debug', 'info', 'warn', 'error', 'silent'].includes(value);
}

function invalid(name: string, detail: string, hint = 'See docs/operations.md for what it may be.') {
  return mainErrors.FH_SETTING_INVALID({ detail: `${name}: ${detail}`, hint });
}
