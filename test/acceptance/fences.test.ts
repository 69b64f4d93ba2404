/**
 * The fences of docs/architecture.md, seen from outside: who runs as whom, who owns which folder, what listens, who can read what, and
 * where no secret may stand. As root all of it; started by a person, what one user can have.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Client, Freehold, newFolder, repository, until } from './harness.ts';
import {
  listListeners,
  listProcesses,
  readCommandLine,
  readEnvironment,
  readIdentity,
  readStatus,
} from './processes.ts';

const password = 'eleven quiet trams at midnight';
const adminEmail = 'ada@northwind.example';
const asRoot = process.getuid?.() === 0;
const me = execFileSync('id', ['-un'], { encoding: 'utf8' }).trim();
const userOf = (name: string) => (asRoot ? name : me);

describe('fences', { timeout: 1_200_000 }, () => {
  let freehold: Freehold;
  let client: Client;
  let invitationUrl: string;
  const at = (path: string) => join(freehold.dataDir, path);

  before(async () => {
    freehold = await Freehold.start();
    const tenant = await freehold.createTenant('northwind', adminEmail);
    ({ invitationUrl } = await freehold.createTenant('contoso', adminEmail));
    client = await freehold.signUp(tenant, password);
    await client.send('POST', '/api/projects', { key: 'SUP', name: 'Support' });
    await client.send('POST', '/-/api/session', { email: adminEmail, password: 'a wrong password, kept nowhere' });
  });
  after(async () => {
    await client?.close();
    await freehold?.stop();
  });

  it('each process runs as its own user', async () => {
    const processes = listProcesses(freehold);
    const users = (pattern: RegExp) =>
      new Set(processes.filter(({ args }) => pattern.test(args)).map(({ user }) => user));
    assert.deepEqual([...users(/cli\.ts up /)], [userOf('root')]);
    assert.deepEqual([...users(/postgres/)], [userOf('freehold-postgres')]);
    assert.deepEqual([...users(/run control$/)], [userOf('freehold-control')]);
    assert.deepEqual([...users(/run gateway$/)], [userOf('freehold-gateway')]);
    // What the supervisor starts is root until it has become somebody else.
    const others = () =>
      listProcesses(freehold).filter(({ args, user }) => user === 'root' && !/cli\.ts up /.test(args));
    if (asRoot) await until('only the supervisor to be root', async () => others().length === 0);
  });

  it('no process of them can gain rights again', () => {
    for (const { pid, args } of listProcesses(freehold).filter((each) => each.user !== 'root')) {
      const status = readStatus(pid);
      if (status === '') continue;
      const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1];
      assert.equal(new Set(field('Uid')!.split(/\s+/)).size, 1, `real, effective and saved user are one: ${args}`);
      if (asRoot) assert.equal(field('CapEff'), '0000000000000000', args);
      if (asRoot) assert.ok(!field('Groups')!.split(' ').includes('0'), `not in the group of root: ${args}`);
    }
  });

  it('folders belong to whom the document says', () => {
    const facts = (path: string) => execFileSync('stat', ['-c', '%U %a', at(path)], { encoding: 'utf8' }).trim();
    for (const [path, user, mode] of [
      ['.', 'root', '711'],
      ['pg/main', 'freehold-postgres', '700'],
      ['pg/logs', 'freehold-postgres', '700'],
      ['pg/standby-logs', 'freehold-standby', '700'],
      ['pg/access', 'root', '711'],
      ['keys', 'freehold-control', '700'],
      ['control', 'freehold-control', '700'],
      ['tls', 'freehold-gateway', '700'],
      ['log', 'root', '700'],
    ] as const)
      assert.equal(facts(path), `${userOf(user)} ${mode}`, path);
    if (asRoot) {
      const withGroup = (path: string) =>
        execFileSync('stat', ['-c', '%U:%G %a', at(path)], { encoding: 'utf8' }).trim();
      assert.equal(withGroup('files'), 'freehold-gateway:freehold-files 2770');
      assert.equal(withGroup('run/control'), 'freehold-control:freehold-gateway 710');
      assert.equal(withGroup('run/back'), 'freehold-gateway:freehold-apps 750');
      assert.equal(withGroup('run/pg'), 'root:freehold 710');
      assert.equal(withGroup('run/pg-main'), 'freehold-postgres:freehold 710');
      assert.equal(withGroup('run/pg-standby'), 'freehold-standby:freehold 710');
    }
    assert.equal(facts('run/control/command.sock').split(' ')[1], '600');
    const open = execFileSync(
      'find',
      [
        at('keys'),
        at('control'),
        at('tls'),
        at('log'),
        at('pg/main'),
        '-ignore_readdir_race',
        '-perm',
        '/077',
        '-type',
        'f',
      ],
      {
        encoding: 'utf8',
      },
    );
    assert.equal(open, '', 'no secret file is open to group or others');
  });

  it('nothing listens but the gateway and the console, on loopback', () => {
    const listeners = listListeners(listProcesses(freehold).map(({ pid }) => pid));
    assert.deepEqual(
      [...new Set(listeners.map(({ port }) => port))].sort(),
      [freehold.port, freehold.consolePort].sort(),
    );
    for (const { address } of listeners) assert.match(address, /^(127\.0\.0\.1|::1)$/);
  });

  /** Runs a command with the user and the groups that the running process has; `nobody` has no process here. */
  const runAs = (user: string, command: string[]) => {
    const found = listProcesses(freehold).find((process) => process.user === user);
    const { uid, gid, groups } = found ? readIdentity(found.pid) : { uid: '65534', gid: '65534', groups: '' };
    const rights = [`--reuid=${uid}`, `--regid=${gid}`, groups === '' ? '--clear-groups' : `--groups=${groups}`];
    return spawnSync('setpriv', [...rights, '--', ...command], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH ?? '' },
    });
  };

  it('one user cannot read what belongs to another', () => {
    const secrets = {
      keys: at('keys'),
      control: at('control'),
      tls: at('tls'),
      log: at('log'),
      database: at('pg/main/PG_VERSION'),
      databaseLog: at('pg/logs'),
      files: at('files'),
      command: at('run/control/command.sock'),
    };
    const allowed: Record<string, readonly (keyof typeof secrets)[]> = {
      'freehold-postgres': ['database', 'databaseLog'],
      'freehold-control': ['keys', 'control', 'files', 'command'],
      'freehold-gateway': ['tls', 'files'],
      nobody: [],
    };
    if (!asRoot) return; // One person has no other users to be.
    for (const [user, mayRead] of Object.entries(allowed))
      for (const [name, path] of Object.entries(secrets)) {
        const { status } = runAs(user, ['test', '-r', path]);
        assert.equal(status === 0, mayRead.includes(name as keyof typeof secrets), `${user} reads ${name}`);
      }
    for (const user of ['freehold-gateway', 'freehold-postgres', 'nobody']) {
      const asked = runAs(user, ['curl', '-s', '--unix-socket', secrets.command, 'http://localhost/api/tenants']);
      assert.notEqual(asked.status, 0, `${user} gives no commands`);
    }
    assert.equal(runAs('nobody', ['cat', at('ca.crt')]).status, 0, 'the authority is for everybody');
  });

  it('the database lets nobody in by who they are, but its own user', () => {
    if (!asRoot) return; // The one person is its own user.
    const psql = (user: string, role: string, database = 'postgres') =>
      runAs(user, ['psql', '-w', '-h', at('run/pg'), '-U', role, '-d', database, '-Atc', 'SELECT 1']);
    assert.equal(psql('freehold-postgres', 'postgres').stdout.trim(), '1');
    for (const user of ['freehold-gateway', 'freehold-control'])
      for (const role of ['postgres', 'freehold_control']) {
        const refused = psql(user, role);
        assert.notEqual(refused.status, 0, `${user} as ${role}`);
      }
    const shown = JSON.parse(
      execFileSync(
        join(repository, 'freehold'),
        ['tenant', 'show', 'northwind', '--json', '--data', freehold.dataDir],
        { encoding: 'utf8' },
      ),
    );
    assert.notEqual(
      psql('freehold-gateway', shown.databaseName, shown.databaseName).status,
      0,
      'a tenant role needs its password',
    );
    assert.notEqual(psql('nobody', 'postgres').status, 0);
  });

  it('no secret stands in a log, an argument or an environment, and passwords and tokens stand nowhere', () => {
    const token = new URL(invitationUrl).pathname.split('/').at(-1)!;
    const keyFiles = execFileSync(
      'find',
      [at('keys'), at('control'), at('tls'), '-ignore_readdir_race', '-type', 'f', '-size', '-64k'],
      { encoding: 'utf8' },
    )
      .trim()
      .split('\n');
    const secrets = new Map<string, string>([
      ['the password', password],
      ['a wrong password', 'a wrong password, kept nowhere'],
      ['the invitation', token],
      ['the set-up token', new URL(freehold.ready.setupUrl!).hash.split('=').at(-1)!],
      ['the session', client.cookies.get('__Host-freehold')!.slice(0, 40)],
    ]);
    const nowhere = [...secrets.values()];
    for (const file of keyFiles)
      for (const secret of findSecrets(readIfThere(file))) secrets.set(file.slice(freehold.dataDir.length), secret);
    assert.ok(secrets.size > 7, `found ${[...secrets.keys()]}`);

    for (const folder of ['log', 'pg/logs'])
      for (const file of readdirSync(at(folder))) {
        const text = readFileSync(join(at(folder), file), 'utf8');
        for (const [name, secret] of secrets) assert.ok(!text.includes(secret), `${name} stands in ${folder}/${file}`);
      }
    for (const { pid, args } of listProcesses(freehold)) {
      const seen = readCommandLine(pid) + readEnvironment(pid);
      for (const [name, secret] of secrets) assert.ok(!seen.includes(secret), `${name} stands beside ${args}`);
    }
    for (const secret of nowhere) {
      const found = spawnSync('grep', ['-rlaF', '--', secret, freehold.dataDir], { encoding: 'utf8' });
      assert.equal(found.stdout, '', 'neither in the database nor in its write-ahead log nor in any file');
    }
  });

  it('runs from a clone below a folder that nobody else can enter', async () => {
    const home = mkdtempSync(join(asRoot ? '/root' : homedir(), '.freehold-clone-'));
    chmodSync(home, 0o700);
    const data = newFolder();
    let own: Freehold | undefined;
    try {
      const clone = join(home, 'freehold');
      mkdirSync(clone);
      for (const name of [
        'freehold',
        '.node-version',
        'package.json',
        'package-lock.json',
        'vite.config.ts',
        'src',
        'apps',
        'web',
        'migrations',
        'dist',
      ])
        if (existsSync(join(repository, name)))
          cpSync(join(repository, name), join(clone, name), { recursive: true, preserveTimestamps: true });
      // The packages, which are as they were installed.
      mkdirSync(join(clone, '.freehold'));
      for (const name of ['.freehold/node', '.freehold/packages.stamp', 'node_modules'])
        if (existsSync(join(repository, name))) symlinkSync(join(repository, name), join(clone, name));
      own = await Freehold.start({ dataDir: data, from: join(clone, 'freehold') });
      const tenant = await own.createTenant('northwind', adminEmail);
      const guest = await own.signUp(tenant, password);
      assert.match((await guest.get('/', { accept: 'text/html' })).text, /<!doctype html>/i);
      await guest.close();
    } finally {
      await own?.stop();
      rmSync(data, { recursive: true, force: true });
      rmSync(home, { recursive: true, force: true });
    }
  });
});

/** Empty when the file is gone meanwhile: the installation runs, and temporary files come and go. */
function readIfThere(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return Buffer.alloc(0);
  }
}

/** Values that look like keys and passwords: long words of base64, base64url or hex, and the lines of PEM private keys. */
function findSecrets(content: Buffer): string[] {
  const text = content.toString('latin1');
  if (text.includes('BEGIN CERTIFICATE') && !text.includes('PRIVATE KEY')) return [];
  if (/^[\x09-\x7e]*$/.test(text)) return text.match(/[A-Za-z0-9+/_-]{40,}/g) ?? [];
  return [content.subarray(0, 32).toString('hex'), content.subarray(0, 32).toString('base64').slice(0, 40)];
}
