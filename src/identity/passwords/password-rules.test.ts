import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadBlocklist } from './blocklist.ts';
import { expectedPhrases } from './expected-phrases.ts';
import { createPasswordRules, type PasswordRule } from './password-rules.ts';

const rules = createPasswordRules();
const context = { email: 'alice.miller@acme.example', name: 'Alice Miller', tenant: ['acme', 'Acme Tool Works'] };

const refused: Record<string, PasswordRule> = {
  '': 'too_short',
  x: 'too_short',
  fourteen_chars: 'too_short',
  // Fourteen characters in 28 UTF-16 units: characters are counted, not units.
  '🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊': 'too_short',
  ['x'.repeat(1025)]: 'too_long',
  ['x'.repeat(1_000_000)]: 'too_long',
  ['ﷺ'.repeat(330)]: 'not_text',
  [`${'\ud800'}fifteen characters`]: 'not_text',
  password12345678: 'common',
  '12345678password': 'common',
  'P@ssw0rd!!!!!!!!!!': 'common',
  passwordpassword: 'common',
  PASSWORDpassword: 'common',
  'pass word pass word': 'common',
  qwertyqwertyqwerty: 'common',
  ILoveYouILoveYou: 'common',
  letmeinletmeinletmein: 'common',
  'correct horse battery staple': 'common',
  'C0rrectHorseB4tteryStaple1!': 'common',
  'the quick brown fox': 'common',
  'Pássword-2026-2026': 'common',
  ｐａｓｓｗｏｒｄ１２３４５６７: 'common',
  'alice@acme.test1': 'context',
  'alice.miller@acme.example': 'context',
  'alicemiller1987!': 'context',
  '4lice-M1ller-2026': 'context',
  AcmeToolWorks2026: 'context',
  'acme-password-2024': 'context',
  'my-freehold-login': 'context',
  'freehold-freehold-1': 'common',
  Fr33h0ldFr33h0ld: 'common',
  millermillermiller: 'common',
  aaaaaaaaaaaaaaaaaaaa: 'repetitive',
  '111111111111111': 'repetitive',
  ababababababababab: 'repetitive',
  abcabcabcabcabcabc: 'repetitive',
  abcdefghijklmnopqrst: 'repetitive',
  '98765432109876543210': 'repetitive',
  qwertyuiopasdfghjkl: 'repetitive',
  '1qaz2wsx3edc4rfv': 'common',
  aaaabbbbccccddddeeee: 'repetitive',
  abcdefgh12345678: 'repetitive',
};

test('bad passwords are refused, each by its rule and with a way to mend it', async () => {
  const wrong: string[] = [];
  for (const [password, rule] of Object.entries(refused)) {
    const verdict = await rules.check(password, context);
    if (verdict.problems[0]?.rule !== rule)
      wrong.push(`${password.slice(0, 40)}: ${verdict.problems[0]?.rule}, not ${rule}`);
    assert.equal(verdict.accepted, verdict.problems.length === 0);
    for (const { text, fix } of verdict.problems) assert.ok(text.length > 10 && fix.length > 10);
  }
  assert.deepEqual(wrong, []);
});

test('good passwords are accepted, whatever they are composed of', async () => {
  const wrong: string[] = [];
  for (const password of [
    'seven purple lanterns drift',
    'sevenpurplelanterns',
    'my dog eats 3 shoes a day',
    'acme needs more green elephants tomorrow',
    'x7#Kq9!vLm2@Rt5',
    '8f3e9a1c7b2d4e6f',
    'gras wächst über Nacht',
    '猫が好きです毎日一緒に寝ています',
    'Иван пьёт холодный квас',
    '🦊 runs over the wet bridge',
    '   spaces   around   it   ',
    'xxxunusual-but-long-enough-tail',
    `${'lamp river cobalt '.repeat(55)}end of the line`,
  ]) {
    const verdict = await rules.check(password, context);
    if (!verdict.accepted) wrong.push(`${password.slice(0, 40)}: ${verdict.problems[0]!.rule}`);
    else assert.ok(verdict.score >= 2);
  }
  assert.deepEqual(wrong, []);
});

test('every entry of the lists that is long enough is refused, bare and with the usual padding', async () => {
  const blocklist = await loadBlocklist();
  assert.ok(blocklist.size > 49_000);
  for (const phrase of expectedPhrases) assert.match(phrase, /^[a-z0-9]+$/);
  const samples = [...blocklist].filter((_, index) => index % 97 === 0);
  for (const password of [...samples, ...expectedPhrases])
    for (const padded of [password, `${password}123456789012345`, `!!!!!!!!!!!!!!!${password.toUpperCase()}1`])
      assert.equal((await rules.check(padded, {})).accepted, false, padded);
});

test('random passwords of a manager are always accepted', async () => {
  const password = fc.string({
    unit: fc.constantFrom(...'abcdefghkmnpqrstuvwxyzABCDEFGHKLMNPQRSTUVWXYZ23456789-_.'),
    minLength: 20,
    maxLength: 64,
  });
  const isRandom = (text: string) => new Set(text.toLowerCase()).size >= 10;
  await fc.assert(
    fc.asyncProperty(password.filter(isRandom), async (text) => {
      assert.equal((await rules.check(text, {})).accepted, true);
    }),
    { numRuns: 200 },
  );
});

test('nothing that can be typed stalls the judge', async () => {
  await loadBlocklist();
  const hostile = [
    'a'.repeat(1024),
    'ab'.repeat(512),
    'alice'.repeat(200),
    'aA1!'.repeat(256),
    `${'a'.repeat(511)}b${'a'.repeat(511)}`,
    '1!'.repeat(512),
    '@'.repeat(1024),
    '\n'.repeat(1024),
    'é'.normalize('NFD').repeat(340),
  ];
  const longName = 'a'.repeat(1000);
  const before = process.cpuUsage();
  for (const password of hostile) {
    await rules.check(password, context);
    await rules.check(password, { email: `${longName}@${longName}`, name: longName, tenant: [longName] });
  }
  const { user, system } = process.cpuUsage(before);
  const meanMs = (user + system) / 1_000 / (hostile.length * 2);
  // A stall would be seconds. In processor time, so that a busy machine does not fail it.
  assert.ok(meanMs < 100, `${meanMs} ms`);
});

test('a context of any content breaks nothing', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary', maxLength: 60 }),
      async (email, name, password) => {
        await rules.check(password, { email, name, tenant: [name] });
      },
    ),
    { numRuns: 200 },
  );
});

test('the refusal names the field, the rule and the fix, and not the password', async () => {
  const refusal = await rules.parseNew('tiny-secret', context).catch((error) => error);
  assert.equal(refusal.code, 'FH_PASSWORD_REFUSED');
  assert.match(refusal.fields.password, /11 characters; 15 are needed/);
  assert.doesNotMatch(JSON.stringify(refusal) + refusal.message, /tiny-secret/);
});

test('what is hashed is normalised', async () => {
  assert.equal(await rules.parseNew('Ａ\u0301ngström long enough', context), 'Ángström long enough');
});
