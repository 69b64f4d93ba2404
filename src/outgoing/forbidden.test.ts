import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Finding, RunReport } from './forbidden-run.fixture.ts';
import { leadingInside, publicAddresses, redirectsInside, unfit } from './forbidden-urls.fixture.ts';

const program = fileURLToPath(new URL('forbidden-run.fixture.ts', import.meta.url));
/** In the namespace every address is this machine, so that a connection to any of them would succeed. */
const everythingIsHere =
  'ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 dev lo && exec "$@"';
/** As root, or as a person where the kernel lets people have namespaces. */
const namespaces = [
  ['unshare', '-n'],
  ['unshare', '-r', '-n'],
];

describe('addresses that lead inside', { timeout: 600_000 }, () => {
  let report: RunReport;
  let isInside = false;

  before(async () => {
    const wrap = (line: readonly string[]) => [...line, 'sh', '-c', everythingIsHere, 'sh'];
    const namespace = namespaces.find((line) => {
      const [command, ...args] = wrap(line) as [string, ...string[]];
      return spawnSync(command, [...args, 'true']).status === 0;
    });
    isInside = namespace !== undefined;
    const line = [...(namespace ? wrap(namespace) : []), process.execPath, program, isInside ? 'inside' : 'outside'];
    const { stdout } = await promisify(execFile)(line[0]!, line.slice(1), { maxBuffer: 2 ** 24 });
    report = JSON.parse(stdout);
  });

  const unfitCount = Object.values(unfit).flat().length;
  const strays = (findings: readonly Finding[], codes: RegExp) =>
    findings.filter(({ came, begun }) => !codes.test(came) || begun > 0);

  it('are refused, and no connection is begun', (context) => {
    assert.ok(unfitCount + leadingInside.length >= 150);
    assert.equal(report.unfit.length, unfitCount);
    assert.equal(report.leadingInside.length, leadingInside.length);
    assert.deepEqual(strays(report.unfit, /^FH_OUTGOING_URL_REFUSED$/), []);
    // That a name does not exist and that it leads inside is said in the same words.
    assert.deepEqual(strays(report.leadingInside, /^FH_OUTGOING_NOT_REACHED$/), []);
    const all = unfitCount + leadingInside.length;
    context.diagnostic(`${all} of ${all} addresses refused, 0 connections begun`);
  });

  it('are refused too while other servers are allowed', () => {
    assert.equal(report.withAllowed.length, unfitCount + leadingInside.length);
    assert.deepEqual(strays(report.withAllowed, /^FH_OUTGOING_(URL_REFUSED|NOT_REACHED)$/), []);
  });

  it('are not asked for a second time by a name', () => assert.equal(report.questionsPerName, 1));

  it('are reached by no redirect, and by no second answer of a name server; the kernel counts the same', (context) => {
    if (!isInside) {
      context.diagnostic('this machine gives no network namespace: only what Node.js begins was counted');
      return;
    }
    assert.deepEqual(
      report.public,
      publicAddresses.map((address) => ({ asked: address, came: 'ok 200 hello', begun: 1 })),
    );
    assert.deepEqual(
      report.redirects,
      redirectsInside.map((to) => ({ asked: to, came: 'FH_OUTGOING_REDIRECTED', begun: 1 })),
    );
    assert.deepEqual(report.arrived, [...publicAddresses, ...redirectsInside.map(() => '93.184.216.34')]);
    assert.deepEqual(report.kernel, { connections: report.arrived.length, datagrams: 0 });
    context.diagnostic(
      `in a network namespace: ${report.arrived.length} connections, each to one of ${publicAddresses.length} public addresses; no other, and no datagram`,
    );
  });
});
