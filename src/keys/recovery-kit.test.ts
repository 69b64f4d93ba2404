import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { FreeholdError, newId, randomBytes } from '#src/kernel/index.ts';
import { formatGroups, groupCount } from './kit-groups.ts';
import { rebuildKeyStore } from './rebuild.ts';
import { makeRecoveryKit, openRecoveryKit, parseRecoveryKit } from './recovery-kit.ts';
import { openKeyStore } from './store.ts';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const facts = { installationId: newId('ins'), date: new Date('2026-11-22T03:00:00Z') };
const mistyped = { code: 'FH_RECOVERY_KIT_MISTYPED' };
const damaged = { code: 'FH_KEY_STORE_DAMAGED' };
const exists = { code: 'FH_KEY_STORE_EXISTS' };

/** The groups of a page, as somebody reads them off. */
function groupsOf(text: string): string[] {
  const groups = [...text.matchAll(/^ .*$/gm)].flatMap(([row]) => row.match(/\b[0-9A-Z]{5}\b/g) ?? []);
  assert.equal(groups.length, groupCount);
  return groups;
}

function detailOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof FreeholdError);
    assert.equal(error.code, 'FH_RECOVERY_KIT_MISTYPED');
    return error.detail ?? '';
  }
  assert.fail('it was read');
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'freehold-kit-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('the page says what it is, and opens the root key again', () => {
  const rootKey = randomBytes(32);
  const kit = makeRecoveryKit(rootKey, facts);
  assert.match(kit.text, new RegExp(`Installation +${facts.installationId}\n`));
  assert.match(kit.text, new RegExp(`Kit +${kit.kitId}\n`));
  assert.match(kit.text, /Made on +2026-11-22\n/);
  assert.ok(
    kit.text.split('\n').every((line) => line.length <= 98),
    'fits on a page',
  );
  assert.equal(parseRecoveryKit(kit.text).kitId, kit.kitId);
  assert.deepEqual(openRecoveryKit(kit.text, kit.sealedRoot), rootKey);
  assert.ok(!kit.sealedRoot.includes(rootKey));
});

test('however it is typed: only the groups, lower case, other dashes and lines, numbers, o for 0, i and l for 1', () => {
  const rootKey = randomBytes(32);
  // Until the secret has each of the two digits that are mistaken for letters.
  let kit = makeRecoveryKit(rootKey, facts);
  while (!/0/.test(groupsOf(kit.text).join('')) || !/1/.test(groupsOf(kit.text).join('')))
    kit = makeRecoveryKit(rootKey, facts);
  const groups = groupsOf(kit.text);
  for (const typed of [
    groups.join(' '),
    groups.join('-').toLowerCase(),
    groups.join('\n'),
    groups.map((group, index) => `${index + 1}: ${group},`).join('\r\n'),
    groups.join(' ').replaceAll('0', 'o').replaceAll('1', 'l'),
    groups.join(' ').replaceAll('0', 'O').replaceAll('1', 'I'),
    `my notes\n\n> Secret (copied)\n${groups.join(' – ')}\nEnd of the secret. More notes, words`,
    kit.text.toLowerCase(),
    kit.text.replaceAll('\n', '\r\n'),
    kit.text.replace(/^/gm, '  '),
  ])
    assert.deepEqual(openRecoveryKit(typed, kit.sealedRoot), rootKey, typed);
});

test('every wrong character is found and its group named', () => {
  const kit = makeRecoveryKit(randomBytes(32), facts);
  const groups = groupsOf(kit.text);
  for (const [index, group] of groups.entries())
    for (let place = 0; place < 5; place++)
      for (const character of `${alphabet}U*é`) {
        if (character === group[place]) continue;
        const typed = groups.with(index, group.slice(0, place) + character + group.slice(place + 1));
        const detail = detailOf(() => openRecoveryKit(typed.join(' '), kit.sealedRoot));
        // A character that separates makes two words of one.
        if (character === '*') assert.match(detail, /there are 1[345] groups|group/);
        else assert.equal(detail, `group ${index + 1}`);
      }
});

test('swapped neighbours, swapped groups, groups left out or doubled are found', () => {
  const kit = makeRecoveryKit(randomBytes(32), facts);
  const groups = groupsOf(kit.text);
  const refuse = (typed: string[], detail: RegExp) =>
    assert.match(
      detailOf(() => openRecoveryKit(typed.join(' '), kit.sealedRoot)),
      detail,
    );
  for (const [index, group] of groups.entries()) {
    for (let place = 0; place < 4; place++) {
      const [a, b] = [group[place]!, group[place + 1]!];
      if (a !== b) refuse(groups.with(index, group.slice(0, place) + b + a + group.slice(place + 2)), /^group \d+$/);
    }
    refuse(groups.toSpliced(index, 1), /^there are 13 groups, the page has 14/);
    refuse(groups.toSpliced(index, 0, group), /^there are 15 groups, the page has 14/);
    for (const other of groups.keys())
      if (groups[other] !== group)
        refuse(
          groups.with(index, groups[other]!).with(other, group),
          new RegExp(`^groups ${Math.min(index, other) + 1}, ${Math.max(index, other) + 1}$`),
        );
  }
  refuse([], /^there are 0 groups/);
  refuse(groups.with(2, 'ABC').with(8, 'ABCDEF'), /^groups 3, 9$/);
});

test('no text that is not the page gives a key, and no message holds what was typed', () => {
  const kit = makeRecoveryKit(randomBytes(32), facts);
  const groups = groupsOf(kit.text);
  const group = fc.string({ unit: fc.constantFrom(...alphabet), minLength: 5, maxLength: 5 });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(groupCount - 1), group), { minLength: 1, maxLength: 14 }), (changes) => {
      const typed = changes.reduce((all, [at, other]) => all.with(at, other), groups);
      if (typed.join() === groups.join()) return;
      const detail = detailOf(() => openRecoveryKit(typed.join(' '), kit.sealedRoot));
      for (const secret of [...groups, ...typed]) assert.ok(!detail.includes(secret));
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      assert.throws(() => openRecoveryKit(text, kit.sealedRoot), mistyped);
    }),
    { numRuns: 500 },
  );
});

test('what single groups let pass, the last one finds', () => {
  const [one, other] = [randomBytes(32), randomBytes(32)];
  const groups = formatGroups(one, Buffer.alloc(32));
  const mixed = groups.with(4, formatGroups(other, Buffer.alloc(32))[4]!);
  const detail = detailOf(() => parseRecoveryKit(mixed.join(' ')));
  assert.match(detail, /compare every group/);
  assert.ok(detailOf(() => parseRecoveryKit(groups.join(' '))));
});

test('another kit, another object, or a changed one does not open', () => {
  const rootKey = randomBytes(32);
  const [one, other] = [makeRecoveryKit(rootKey, facts), makeRecoveryKit(rootKey, facts)];
  assert.notEqual(one.kitId, other.kitId);
  const unsealError = { code: 'FH_KEY_UNSEAL' };
  assert.throws(() => openRecoveryKit(one.text, other.sealedRoot), unsealError);
  for (let at = 0; at < one.sealedRoot.length; at++) {
    const altered = Buffer.from(one.sealedRoot);
    altered[at]! ^= 1;
    assert.throws(() => openRecoveryKit(one.text, altered), unsealError);
    assert.throws(() => openRecoveryKit(one.text, one.sealedRoot.subarray(0, at)), unsealError);
  }
});

test('a stranger with the page and what a region holds has the same keys, and no others', () =>
  withFolder(async (folder) => {
    const store = await openKeyStore(join(folder, 'keys'));
    const [a, b, cluster] = [newId('ten'), newId('ten'), newId('clu')];
    for (const owner of [a, b, cluster, 'installation'] as const) await store.createKey(owner);
    await store.rotateKey(b);
    const kit = await store.createRecoveryKit(facts.date);
    const wrapped = await Array.fromAsync(store.wrappedKeys());

    const rootKey = openRecoveryKit(kit.text, kit.sealedRoot);
    const target = join(folder, 'elsewhere');
    const kits = await store.recoveryKits();
    assert.deepEqual(await rebuildKeyStore({ folder: target, rootKey, wrapped, kits }), { keys: 5, damaged: [] });
    const rebuilt = await openKeyStore(target);
    for await (const keyId of store.keyIds())
      assert.deepEqual(await rebuilt.openKey(keyId), await store.openKey(keyId));
    assert.deepEqual(await rebuilt.deriveTenantKey(b, 'files'), await store.deriveTenantKey(b, 'files'));
    assert.deepEqual(await rebuilt.deriveInstallationKey('x'), await store.deriveInstallationKey('x'));
    assert.equal(rebuilt.installationId(), store.installationId());
    assert.deepEqual(await rebuilt.recoveryKits(), kits);

    await assert.rejects(rebuildKeyStore({ folder: target, rootKey, wrapped }), exists);
    await assert.rejects(rebuildKeyStore({ folder: join(folder, 'keys'), rootKey, wrapped: [] }), exists);
    const occupied = join(folder, 'occupied');
    await mkdir(join(occupied, 'deep'), { recursive: true, mode: 0o700 });
    await writeFile(join(occupied, 'deep', 'anything'), '');
    await assert.rejects(rebuildKeyStore({ folder: occupied, rootKey, wrapped }), exists);
    assert.deepEqual((await readdir(occupied, { recursive: true })).sort(), ['deep', 'deep/anything']);
    assert.deepEqual(await rebuilt.openKey(`${a}.1`), await store.openKey(`${a}.1`));
  }));

test('a key that a region holds damaged or under another name is named, the others are taken', () =>
  withFolder(async (folder) => {
    const store = await openKeyStore(join(folder, 'keys'));
    const [a, b] = [newId('ten'), newId('ten')];
    await store.createKey(a);
    await store.createKey(b);
    const kit = await store.createRecoveryKit(facts.date);
    const rootKey = openRecoveryKit(kit.text, kit.sealedRoot);
    const ofA = await store.wrappedKey(`${a}.1`);
    const wrapped = [
      { keyId: `${a}.1`, bytes: ofA },
      { keyId: `${b}.1`, bytes: ofA },
      { keyId: `${b}.2`, bytes: randomBytes(61) },
    ] as const;
    const target = join(folder, 'elsewhere');
    assert.deepEqual(await rebuildKeyStore({ folder: target, rootKey, wrapped }), {
      keys: 1,
      damaged: [`${b}.1`, `${b}.2`],
    });
    assert.deepEqual(await (await openKeyStore(target)).openKey(`${a}.1`), await store.openKey(`${a}.1`));
    const other = { folder: join(folder, 'other'), rootKey: randomBytes(32), wrapped };
    await assert.rejects(rebuildKeyStore(other), damaged);
    await assert.rejects(openKeyStore(other.folder), damaged);
  }));

test('killed while rebuilding: nothing opens the half of it, and running it again makes the whole', () =>
  withFolder(async (folder) => {
    const store = await openKeyStore(join(folder, 'keys'));
    const owners = [newId('ten'), newId('clu'), 'installation'] as const;
    for (const owner of owners) await store.createKey(owner);
    const kit = await store.createRecoveryKit(facts.date);
    const kits = await store.recoveryKits();
    const wrapped = await Array.fromAsync(store.wrappedKeys());
    const rootKey = openRecoveryKit(kit.text, kit.sealedRoot);
    const asText = (value: unknown) =>
      JSON.stringify(value, (_, item) =>
        item?.type === 'Buffer' ? `b:${Buffer.from(item.data).toString('hex')}` : item,
      );
    const code = `
      import { armFailpoints } from '#src/kernel/index.ts';
      import { rebuildKeyStore } from '#src/keys/index.ts';
      const [point, options] = process.argv.slice(1);
      armFailpoints(point);
      await rebuildKeyStore(JSON.parse(options, (_, item) =>
        typeof item === 'string' && item.startsWith('b:') ? Buffer.from(item.slice(2), 'hex') : item));`;
    const steps = [1, 2, 3, 4].flatMap((n) => [`keys.file.written=kill@${n}`, `keys.file.named=kill@${n}`]);
    for (const point of [...steps, 'keys.rebuild.begun=kill', 'keys.rebuild.filled=kill', 'keys.rebuild.ended=kill']) {
      const target = join(folder, 'target');
      const ended = spawnSync(
        process.execPath,
        ['--input-type=module-typescript', '-e', code, point, asText({ folder: target, rootKey, wrapped, kits })],
        { encoding: 'utf8' },
      );
      assert.equal(ended.signal, 'SIGKILL', `passed ${point} alive: ${ended.stderr}`);
      if (point !== 'keys.rebuild.ended=kill') {
        // The marker is the first thing with a name; before it there is nothing that anybody could take for a store.
        if (point !== 'keys.file.written=kill@1') await assert.rejects(openKeyStore(target), damaged, point);
        const otherRoot = { folder: target, rootKey: randomBytes(32), wrapped };
        const isRootThere = (await readdir(target)).includes('root.key');
        if (isRootThere) await assert.rejects(rebuildKeyStore(otherRoot), exists, point);
        await rebuildKeyStore({ folder: target, rootKey, wrapped, kits });
      }
      const rebuilt = await openKeyStore(target);
      for (const owner of owners)
        assert.deepEqual(await rebuilt.openKey(`${owner}.1`), await store.openKey(`${owner}.1`));
      assert.deepEqual(await rebuilt.recoveryKits(), kits);
      const names = await readdir(target, { recursive: true });
      assert.ok(!names.some((name) => name.endsWith('.tmp') || name.includes('rebuilding')), names.join());
      await rm(target, { recursive: true });
    }
  }));

test('a new kit replaces the old when it is said so, and not before', () =>
  withFolder(async (folder) => {
    const store = await openKeyStore(folder.concat('/keys'));
    const old = await store.createRecoveryKit(facts.date);
    const fresh = await store.createRecoveryKit(facts.date);
    assert.equal((await store.recoveryKits()).length, 2);
    assert.deepEqual(await store.retiredKits(), []);
    await assert.rejects(store.retireKits(newId('kit')), TypeError);
    await assert.rejects(store.retireKits('../../root' as never), TypeError);
    await store.retireKits(fresh.kitId);
    await store.retireKits(fresh.kitId);
    for (const one of [store, await openKeyStore(folder.concat('/keys'))]) {
      assert.deepEqual(await one.recoveryKits(), [{ kitId: fresh.kitId, sealedRoot: fresh.sealedRoot }]);
      assert.deepEqual(await one.retiredKits(), [old.kitId]);
    }
    const rootKey = await readFile(join(folder, 'keys', 'root.key'));
    assert.deepEqual(openRecoveryKit(fresh.text, fresh.sealedRoot), rootKey);
  }));

test('killed while kits are made or replaced: always one that opens', () =>
  withFolder(async (folder) => {
    const keysFolder = join(folder, 'keys');
    const run = (point: string, statement: string) => {
      const code = `
        import { armFailpoints } from '#src/kernel/index.ts';
        import { openKeyStore } from '#src/keys/index.ts';
        const store = await openKeyStore(${JSON.stringify(keysFolder)});
        armFailpoints('${point}=kill');
        await ${statement};`;
      const ended = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', code], { encoding: 'utf8' });
      assert.equal(ended.signal, 'SIGKILL', `passed ${point} alive: ${ended.stderr}`);
    };
    const first = await (await openKeyStore(keysFolder)).createRecoveryKit(facts.date);
    for (const point of ['keys.file.written', 'keys.file.named']) {
      run(point, 'store.createRecoveryKit(new Date(0))');
      const kits = await (await openKeyStore(keysFolder)).recoveryKits();
      assert.ok(
        kits.some(({ kitId }) => kitId === first.kitId),
        point,
      );
    }
    for (const point of ['keys.file.written', 'keys.file.named', 'keys.kit.retired']) {
      const store = await openKeyStore(keysFolder);
      const fresh = await store.createRecoveryKit(facts.date);
      run(point, `store.retireKits('${fresh.kitId}')`);
      const later = await openKeyStore(keysFolder);
      await later.retireKits(fresh.kitId);
      assert.deepEqual(
        (await later.recoveryKits()).map(({ kitId }) => kitId),
        [fresh.kitId],
      );
      assert.ok((await readdir(join(keysFolder, 'kits'))).every((name) => !name.endsWith('.tmp')));
    }
  }));
