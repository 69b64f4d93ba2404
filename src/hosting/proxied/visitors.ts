import type { IncomingHttpHeaders } from 'node:http';
import type { TenantRoute } from '#src/tenants/types.ts';

/** Programs that ask all day whether a site is up; by the word that their User-Agent is known by. */
const monitors =
  /uptimerobot|uptime-kuma|pingdom|statuscake|site24x7|better ?(?:uptime|stack)|betterstack|hetrixtools|updown\.io|freshping|checkly|nodeping|datadog|newrelicpinger|new relic|dynatrace|catchpoint|gtmetrix|monitis|zabbix|nagios|check_http|icinga|prometheus|blackbox-exporter|blackbox exporter|kube-probe|elb-healthchecker|googlehc|google-?stackdriver|amazon-route53-health-check|azure traffic manager|haproxy|consul health check|monit\/|gatus|cloudprober|upptime|oh dear|cloudflare-healthchecks|fly-healthcheck/i;

/** What scanners of the whole internet look for first. In lower case; beginnings of paths. */
const probes = [
  '/.env',
  '/.git',
  '/.svn/',
  '/.hg/',
  '/.aws/',
  '/.ssh/',
  '/.vscode/',
  '/.ds_store',
  '/.htpasswd',
  '/wp-login.php',
  '/wp-admin',
  '/wp-content/',
  '/wp-includes/',
  '/wordpress/',
  '/xmlrpc.php',
  '/phpinfo',
  '/phpmyadmin',
  '/pma/',
  '/adminer',
  '/vendor/phpunit',
  '/_ignition/',
  '/actuator',
  '/cgi-bin/',
  '/boaform/',
  '/hnap1',
  '/owa/',
  '/ecp/',
  '/autodiscover/',
  '/solr/',
  '/manager/html',
  '/server-status',
  '/geoserver/',
  '/goform/',
  '/setup.cgi',
  '/web.config',
  '/config.json',
  '/_profiler/phpinfo',
];

/** What is asked of an app that sleeps, by whom it must not be woken for. */
export type Nobody = 'health' | 'probe';

/**
 * Whether a request to an app that sleeps comes from nobody who would use it; undefined: somebody, wake it. Whatever a browser sends is somebody's (W3C Fetch
 * Metadata: every current one says so), also where an app has a page of such a name.
 */
export function nobodyOf(
  {
    method,
    target,
    headers,
  }: { readonly method: string; readonly target: string; readonly headers: IncomingHttpHeaders },
  { healthPath }: Pick<NonNullable<TenantRoute['process']>, 'healthPath'>,
): Nobody | undefined {
  if (headers['sec-fetch-mode'] !== undefined) return undefined;
  const path = target.split(/[?#]/, 1)[0]!;
  const known = path.toLowerCase();
  if (probes.some((probe) => known.startsWith(probe))) return 'probe';
  if (method !== 'GET' && method !== 'HEAD') return undefined;
  // The front page is asked for by everybody.
  if (path === healthPath && path !== '/') return 'health';
  return monitors.test(headers['user-agent'] ?? '') ? 'health' : undefined;
}
