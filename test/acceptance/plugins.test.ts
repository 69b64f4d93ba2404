/** Custom plugins from the command line to the gateway: refused in Standard, at work in the Private Cloud edition, not copied with their tenant, gone with its move back. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setEdition } from './editions.ts';
import { type Client, Freehold, repository, runLauncher, until } from './harness.ts';

describe('custom plugins', { timeout: 300_000 }, () => {
  const newcomers = join(repository, 'test/apps/plugin');
  const page = readFileSync(join(repository, 'docs/plugins.md'), 'utf8');
  const folder = mkdtempSync(join(tmpdir(), 'fh-plugins-'));
  let freehold: Freehold;
  let ada: Client;

  before(async () => {
    freehold = await Freehold.start();
    const acme = await freehold.createTenant('acme', 'ada@example.com');
    await freehold.createTenant('globex', 'ada@example.com');
    setEdition(freehold, 'acme', 'private-cloud');
    ada = await freehold.signUp(acme, 'nineteen amber pianos hum');
    assert.equal((await ada.send('POST', '/api/projects', { key: 'WEB', name: 'Website' })).status, 201);
  });
  after(async () => {
    await ada?.close();
    await freehold?.stop();
    rmSync(folder, { recursive: true });
  });

  function write(name: string, manifest: string, code: string): string {
    const at = join(folder, name);
    mkdirSync(at);
    writeFileSync(join(at, 'freehold.plugin.json'), manifest);
    writeFileSync(join(at, 'main.mjs'), code);
    return at;
  }

  async function ran(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await freehold.run('plugin', ...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}${freehold.readTroubles()}`);
    return stdout;
  }
  const resultOf = async (...args: string[]) => JSON.parse(await ran('run', ...args, '--json')).result;

  it('are refused in the Standard edition, and the reason is said', async () => {
    const refused = await freehold.run('plugin', 'add', 'globex', newcomers);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Custom plugins belong to the Private Cloud edition/);
    const asJson = await freehold.run('plugin', 'add', 'globex', newcomers, '--json');
    assert.equal(JSON.parse(asJson.stderr).error.code, 'FH_PLUGIN_EDITION');
    assert.match(await ran('list', 'globex'), /no plugins/);
  });

  it('are made as docs/plugins.md says: its example and each of its commands', async () => {
    const block = (language: string) => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(page)![1]!;
    write('weekly-report', block('json'), block('js'));
    const commands = block('sh').trim().split('\n');
    assert.equal(commands.length, 7);
    const said: Record<string, string> = {};
    for (const line of commands) {
      const [program, ...words] = line.replace(/ +#.*/, '').split(/ +/) as [string, ...string[]];
      assert.equal(program, './freehold');
      const { code, stdout, stderr } = await runLauncher([...words, '--data', freehold.dataDir], {}, folder);
      assert.equal(code, 0, `${line}: ${stderr}${freehold.readTroubles()}`);
      said[words[1]!] = stdout;
    }
    assert.match(said.add!, /schedule +0 6 \* \* 1 \(UTC\)/);
    assert.match(said.run!, /"count": 1,\s+"before": 0/);
    assert.match(said.log!, /weekly-report: acme has 1 projects, 0 before/);
    assert.match(said.list!, /weekly-report +1\.0\.0 +enabled/);
    assert.match(await ran('list', 'acme'), /no plugins/);
  });

  it('see what their tenant’s API says to a member, and do there what they declare', async () => {
    await ran('add', 'acme', newcomers);
    const read = await resultOf('acme', 'newcomers');
    assert.deepEqual([read.status, read.refused], [200, 'FH_PLUGIN_REFUSED']);
    assert.match(read.type, /^application\/json/);
    const manifest = { name: 'writer', version: '1', entry: 'main.mjs', capabilities: { api: 'write' } };
    const code = `export default async (input, { api }) => {
      const { projects } = JSON.parse((await api('GET', '/api/projects')).body);
      const item = await api('POST', '/api/items', { project: projects[0].id, title: 'Written by a plugin' });
      const project = await api('POST', '/api/projects', { key: 'NO', name: 'Not a member’s to make' });
      return [item.status, project.status];
    };`;
    await ran('add', 'acme', write('writer', JSON.stringify(manifest), code));
    assert.deepEqual(await resultOf('acme', 'writer'), [201, 403]);
    assert.match((await ada.get('/api/items')).text, /Written by a plugin/);
    assert.match(await ran('log', 'acme'), /newcomers: acme: \/api\/openapi\.json answers 200/);
    assert.doesNotMatch(await ran('log', 'globex'), /acme/);
  });

  it('hear of events; what they keep is copied with their tenant, they are not', async () => {
    const invited = await ada.send('POST', '/-/api/invitations', { email: 'bob@example.com', role: 'member' });
    assert.equal(invited.status, 201, invited.text);
    await until('who was invited is counted', async () => {
      const { plugins } = JSON.parse(await ran('list', 'acme', '--json'));
      const { last } = plugins.find(({ name }: { name: string }) => name === 'newcomers');
      return last.trigger === 'events' && last.outcome === 'succeeded';
    });
    assert.equal((await resultOf('acme', 'newcomers')).people, 1);
    assert.equal((await freehold.run('tenant', 'clone', 'acme', 'copy')).code, 0);
    assert.match(await ran('list', 'copy'), /no plugins/);
    setEdition(freehold, 'copy', 'private-cloud');
    await ran('add', 'copy', newcomers);
    assert.equal((await resultOf('copy', 'newcomers')).people, 1);
  });

  it('stop when the tenant goes back to Standard', async () => {
    setEdition(freehold, 'acme', 'standard');
    const stopped = await freehold.run('plugin', 'run', 'acme', 'newcomers');
    assert.equal(stopped.code, 1);
    assert.match(stopped.stderr, /Private Cloud edition/);
    assert.match(await ran('list', 'acme'), /Stopped: the tenant has the Standard edition/);
    await ran('remove', 'acme', 'newcomers');
    assert.match((await freehold.run('audit')).stdout, /plugin\.removed/);
  });
});
