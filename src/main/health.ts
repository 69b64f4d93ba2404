import { statfs } from 'node:fs/promises';
import type { ShippingReport } from '#src/backups/index.ts';
import type {
  ChecksHealth,
  ClusterHealth,
  Health,
  HealthWarning,
  JobView,
  RetentionHealth,
} from '#src/console-api/index.ts';
import type { Clock } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { AppFences } from '#src/processes/index.ts';
import { apps } from './apps.ts';
import { findCheckWarnings } from './checks.ts';
import type { Config } from './config.ts';
import type { Folders } from './folders.ts';
import { isRoot } from './os-users.ts';
import { findPasswordListFault } from './password-list.ts';
import { findShippingWarnings, toShippingHealth } from './shipping-health.ts';
import { describeLoss, measureStandby } from './standby-health.ts';

export interface HealthSources {
  readonly config: Config;
  readonly folders: Folders;
  readonly db: Queryable;
  readonly clock: Clock;
  readonly version: string;
  readonly gateway: string;
  readonly startedAt: Date;
  readonly connectedGateways: () => number;
  /** undefined: nothing is shipped. */
  readonly shipping: (() => ShippingReport | undefined) | undefined;
  /** Servers of single tenants; those that should be there and do not answer, too. */
  readonly privateClusters: () => Promise<readonly ClusterSources[]>;
  readonly jobs: () => Promise<JobView[]>;
  /** undefined: there are no backups. */
  readonly checks: (() => Promise<ChecksHealth>) | undefined;
  /** undefined: there are no regions. */
  readonly retention: (() => Promise<RetentionHealth[]>) | undefined;
  /** Why messages cannot be sent just now; undefined: they can, or there is no mail server. */
  readonly mailTrouble: () => string | undefined;
  readonly appFences: () => Promise<AppFences | undefined>;
  /** What watching itself has to say. */
  readonly watch: readonly HealthWarning[];
  /** True when each part runs as an OS user of its own. */
  readonly isFenced: boolean;
}

/** What is looked at of one cluster. */
export interface ClusterSources {
  readonly name: string;
  readonly folders: Folders;
  /** A database on it. undefined: it does not answer. */
  readonly db: Queryable | undefined;
  readonly shipping: (() => ShippingReport | undefined) | undefined;
}

const lowDiskShare = 0.1;
const busyConnectionsShare = 0.9;
const lateStandbyMs = 60_000;
const lateStandbyBytes = 1024 ** 3;

export async function measureHealth(sources: HealthSources): Promise<Health> {
  const { config, folders, db, version, gateway, startedAt } = sources;
  const others = await sources.privateClusters();
  const privates = await Promise.all(others.map((other) => measureCluster(other, sources)));
  const [cluster, counts, disk, jobs, retention, checks, passwordListFault, appFences] = await Promise.all([
    measureCluster({ ...sources, name: 'main' }, sources),
    countTenants(db),
    statfs(folders.data),
    sources.jobs(),
    sources.retention?.() ?? [],
    sources.checks?.(),
    findPasswordListFault(config),
    // Whoever is not there cannot say; that is told elsewhere.
    sources.appFences().catch(() => undefined),
  ]);
  const facts = {
    version,
    startedAt: startedAt.toISOString(),
    domain: config.domain,
    gateway,
    clusters: [cluster, ...privates],
    gateways: { connected: sources.connectedGateways(), expected: config.workers },
    ...counts,
    preparedDatabases: { ...counts.preparedDatabases, target: config.preparedDatabases * apps.length },
    retention,
    ...(checks && { checks }),
    ...(appFences && { appFences }),
    jobs,
    disk: { path: folders.data, freeBytes: disk.bavail * disk.bsize, totalBytes: disk.blocks * disk.bsize },
  };
  return { ...facts, warnings: findWarnings(facts, { ...sources, passwordListFault }) };
}

async function measureCluster(
  { name, db, folders, shipping: readShipping }: ClusterSources,
  { config, clock, db: registry }: Pick<HealthSources, 'config' | 'clock' | 'db'>,
): Promise<ClusterHealth> {
  const kind = config.externalDatabase ? 'external' : 'embedded';
  if (!db) return { name, kind, state: 'down' };
  const standby = config.externalDatabase ? undefined : await measureStandby(db, folders, clock);
  const shipping = readShipping && toShippingHealth(readShipping());
  try {
    const [row] = await db.query<{
      version: string;
      started_at: Date;
      used: number;
      max: number;
      databases: number;
      checksums: boolean;
    }>(
      `SELECT current_setting('server_version') AS version,
              pg_postmaster_start_time() AS started_at,
              (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
              current_setting('max_connections')::int AS max,
              (SELECT count(*)::int FROM pg_database WHERE NOT datistemplate) AS databases,
              current_setting('data_checksums')::boolean AS checksums`,
    );
    const [tenants] = await registry.query<{ waiting: number }>(
      "SELECT count(*)::int AS waiting FROM tenants WHERE recovery_point = 'zero' AND state <> 'deleted' AND cluster = $1",
      [name],
    );
    if (!row) return { name, kind, state: 'down', standby, shipping };
    return {
      name,
      kind,
      state: 'up',
      // Debian adds the name of its package.
      version: row.version.split(' ')[0]!,
      startedAt: row.started_at.toISOString(),
      connections: { used: row.used, max: row.max },
      databases: row.databases,
      dataChecksums: row.checksums,
      standby,
      shipping: shipping && { ...shipping, waitingTenants: tenants?.waiting ?? 0 },
    };
  } catch {
    return { name, kind, state: 'down', standby, shipping };
  }
}

async function countTenants(
  db: Queryable,
): Promise<Pick<Health, 'tenants' | 'operations'> & { preparedDatabases: { ready: number } }> {
  const [states, operations, [prepared]] = await Promise.all([
    db.query<{ state: string; count: number }>(
      "SELECT state, count(*)::int AS count FROM tenants WHERE state <> 'deleted' GROUP BY state",
    ),
    db.query<{ state: string; count: number }>(
      "SELECT state, count(*)::int AS count FROM operations WHERE state IN ('running', 'failed') GROUP BY state",
    ),
    db.query<{ count: number }>("SELECT count(*)::int AS count FROM prepared_databases WHERE state = 'ready'"),
  ]);
  const operationCount = (state: string): number => operations.find((row) => row.state === state)?.count ?? 0;
  return {
    tenants: Object.fromEntries(states.map((row) => [row.state, row.count])),
    operations: { running: operationCount('running'), failed: operationCount('failed') },
    preparedDatabases: { ready: prepared?.count ?? 0 },
  };
}

function findWarnings(
  facts: Omit<Health, 'warnings'>,
  {
    config,
    isFenced,
    clock,
    watch,
    mailTrouble,
    passwordListFault,
  }: HealthSources & {
    passwordListFault: string | undefined;
  },
): HealthWarning[] {
  const warnings: HealthWarning[] = [];
  const problem = (text: string, hint: string) => warnings.unshift({ severity: 'problem', text, hint });
  const risk = (text: string, hint: string) => warnings.push({ severity: 'risk', text, hint });
  for (const cluster of facts.clusters) {
    if (cluster.state === 'down')
      problem(`The database server ${cluster.name} does not answer.`, 'Look at pg/logs in the data folder.');
    if (cluster.dataChecksums === false)
      risk(
        `The database server ${cluster.name} keeps no data checksums.`,
        'Enable them with pg_checksums while it is stopped.',
      );
    if (cluster.connections && cluster.connections.used > cluster.connections.max * busyConnectionsShare)
      problem(
        `${cluster.connections.used} of ${cluster.connections.max} database connections are in use.`,
        'Raise max_connections, or lower FREEHOLD_BACKENDS.',
      );
  }
  for (const { name, standby } of facts.clusters) {
    if (!standby) continue;
    const { state, reason, lagMs = 0, lagBytes = 0, lastFailover } = standby;
    if (state === 'off')
      risk(
        `The cluster ${name} has no standby.`,
        'Unset FREEHOLD_STANDBY: when the server is lost, nothing takes its place.',
      );
    else if (state === 'away' || state === 'failed')
      problem(
        `The standby of the cluster ${name} does not follow${reason ? `: ${reason}` : ''}.`,
        'Look at pg/standby-logs and pg/logs in the data folder. It is tried again, and copied anew if need be.',
      );
    else if (state === 'following' && (lagMs > lateStandbyMs || lagBytes > lateStandbyBytes))
      problem(`The standby of the cluster ${name} is ${lagBytes} bytes behind.`, 'Look at the disk and at its log.');
    if (lastFailover && lastFailover.lostBytes !== 0)
      risk(
        `The failover of ${lastFailover.finishedAt} ${describeLoss(lastFailover)}.`,
        'Tell the tenants; the next failover that loses nothing ends this notice.',
      );
  }
  for (const warning of facts.clusters.flatMap(findShippingWarnings))
    if (warning.severity === 'problem') warnings.unshift(warning);
    else warnings.push(warning);
  if (facts.gateways.connected < facts.gateways.expected)
    problem(
      `${facts.gateways.connected} of ${facts.gateways.expected} gateways are connected.`,
      'Look at log/gateway-*.log in the data folder.',
    );
  if (facts.disk.freeBytes < facts.disk.totalBytes * lowDiskShare)
    problem('Less than a tenth of the disk is free.', `Make room on the file system of ${facts.disk.path}.`);
  for (const { name, isOverdue, succeededAt, error } of facts.jobs) {
    if (isOverdue)
      problem(
        `The job ${name} has not succeeded ${succeededAt ? `since ${succeededAt}` : 'yet'}${error ? `: ${error.text}` : '.'}`,
        'Look at log/control.log in the data folder; it is tried again by itself.',
      );
    else if (error) risk(`The job ${name} failed: ${error.text}`, 'It is tried again by itself.');
  }
  for (const warning of findCheckWarnings(facts, clock.now()))
    if (warning.severity === 'problem') warnings.unshift(warning);
    else warnings.push(warning);
  warnings.push(...watch);
  for (const { region, warnings: found } of facts.retention)
    for (const text of found)
      risk(`Retention of region ${region}: ${text}.`, 'See what it keeps and why: ./freehold backup prune --dry-run');
  if (passwordListFault)
    problem(
      passwordListFault,
      'Nobody can choose a new password. Mend the file that FREEHOLD_BREACHED_PASSWORDS names, or unset it.',
    );
  const trouble = mailTrouble();
  if (trouble)
    problem(
      `Messages cannot be sent: ${trouble}`,
      'They are tried again for five days. Look at FREEHOLD_SMTP_URL, and at the page Mail of the console.',
    );
  if (facts.operations.failed > 0)
    problem(
      `${facts.operations.failed} lifecycle operations failed.`,
      'See the operations page of the console; each can be tried again.',
    );
  if (!isFenced)
    risk(
      isRoot()
        ? 'The parts of Freehold are not separated.'
        : 'All parts run as one user, because a person started Freehold.',
      'Start Freehold as root: each part then runs as an operating-system user of its own.',
    );
  if (facts.appFences?.sandbox === false)
    risk(
      'Apps of your own cannot be run: bubblewrap is missing.',
      'Install it (Debian and Ubuntu: apt-get install bubblewrap) and start Freehold again.',
    );
  else if (facts.appFences && isFenced && (facts.appFences.controlGroups === 0 || !facts.appFences.systemCalls))
    risk(
      `Apps of your own are fenced in without ${[facts.appFences.controlGroups === 0 ? 'control groups' : '', facts.appFences.systemCalls ? '' : 'a filter of system calls'].filter(Boolean).join(' and ')}.`,
      'Host only apps that you trust with the memory and the processors of this machine.',
    );
  if (config.failpoints) problem('Failpoints are armed.', 'Unset FREEHOLD_FAILPOINTS; it is for tests only.');
  if (config.domain !== 'localhost' && config.tlsCertificates.length === 0)
    risk('Browsers do not know the local certificate authority.', 'Set FREEHOLD_TLS_CERT and FREEHOLD_TLS_KEY.');
  return warnings;
}
