import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FreeholdError } from '#src/kernel/index.ts';
import { type Attribute, userAttributes, userSchema } from './attributes.ts';
import {
  type Filter,
  filterLimits,
  matches,
  operators,
  parseFilter,
  parsePatchPath,
  requiredValues,
} from './filter.ts';

const vocabulary = { attributes: userAttributes, schema: userSchema };
const parse = (text: string) => parseFilter(text, vocabulary);
/** A run that fails prints its seed and path. */
const runs = { numRuns: 2_000 };

const olga = {
  id: 'usr_1',
  externalId: 'E-7',
  userName: 'Olga@Example.com',
  displayName: 'Olga Ford',
  name: { formatted: 'Olga Ford', givenName: 'Olga' },
  active: true,
  emails: [
    { value: 'olga@example.com', type: 'work', primary: true },
    { value: 'olga@home.example', type: 'home', primary: false },
  ],
  groups: [],
  meta: { created: '2026-01-31T10:00:00.000Z' },
};

test('what RFC 7644 shows, and what Entra ID and Okta ask', () => {
  const expected: Readonly<Record<string, boolean>> = {
    'userName eq "olga@example.com"': true,
    'USERNAME Eq "OLGA@EXAMPLE.COM"': true,
    [`${userSchema}:userName sw "olga"`]: true,
    'externalId eq "e-7"': false,
    'externalId eq "E-7"': true,
    'name.familyName co "O"': false,
    'not (name.familyName co "O")': true,
    'displayName pr': true,
    'name.familyName pr': false,
    'groups pr': false,
    'active eq true': true,
    'active eq "True"': true,
    'active ne false and emails co "home"': true,
    'emails[type eq "work" and value co "@home"]': false,
    'emails[type eq "home" and value co "@home"]': true,
    'emails[type eq "work"].value eq "olga@example.com"': true,
    'emails[type eq "home"].value eq "olga@example.com"': false,
    'emails.type eq "home"': true,
    'meta.created gt "2026-01-01T00:00:00Z"': true,
    'meta.created lt "2026-01-31T11:00:00+02:00"': false,
    'userName eq "x" or userName eq "y" and active eq true or displayName ew "Ford"': true,
    '(userName eq "x" or active eq true) and displayName sw "Anna"': false,
    'name.familyName eq null': true,
    'displayName ge "olga"': true,
  };
  for (const [text, wanted] of Object.entries(expected)) assert.equal(matches(parse(text), olga), wanted, text);
});

test('everything else is refused, and said to be a filter that is not understood', () => {
  for (const text of [
    '',
    'userName',
    'userName eq',
    'userName zz "x"',
    'userName eq x',
    "userName eq 'x'",
    'userName eq "x" and',
    'userName eq "x" userName eq "y"',
    '(userName eq "x"',
    'userName eq "x")',
    'emails[type eq "work"',
    'emails[emails[type eq "work"]]',
    'emails[type eq "work"].nothing eq "x"',
    'userName[type eq "x"]',
    'password eq "x"',
    '__proto__ eq "x"',
    'constructor pr',
    'name.__proto__ pr',
    'name eq "x"',
    'active eq "perhaps"',
    'active gt true',
    'userName gt null',
    'userName eq 7',
    'meta.created eq "yesterday"',
    'userName eq "x"; DROP TABLE freehold.users',
    `userName eq "x' OR '1'='1`,
    'userName eq "\u0000"',
    `userName eq "${'x'.repeat(filterLimits.characters)}"`,
    `${'('.repeat(filterLimits.depth + 1)}userName pr${')'.repeat(filterLimits.depth + 1)}`,
    Array.from({ length: filterLimits.comparisons + 1 }, () => 'id pr').join(' or '),
  ])
    assert.throws(() => parse(text), { code: 'FH_SCIM_FILTER' }, text.slice(0, 60));
});

test('any text is a filter or refused as one, at once', () => {
  const word = fc.constantFrom(
    ...['userName', 'emails', 'type', 'value', 'name.givenName', 'active', 'meta.created', userSchema, ':', '.', ' '],
    ...[
      'eq',
      'ne',
      'co',
      'pr',
      'and',
      'or',
      'not',
      '(',
      ')',
      '[',
      ']',
      '"',
      '"x"',
      '\\',
      'true',
      'null',
      '-1',
      '1e9',
      '__proto__',
    ],
  );
  const noise = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(word, { maxLength: 60 }).map((words) => words.join(' ')),
    fc.array(word, { maxLength: 60 }).map((words) => words.join('')),
  );
  fc.assert(
    fc.property(noise, (text) => {
      for (const read of [parse, (one: string) => parsePatchPath(one, vocabulary)])
        try {
          const found = read(text);
          if ('kind' in found) matches(found, olga);
        } catch (error) {
          assert.ok(error instanceof FreeholdError && error.code === 'FH_SCIM_FILTER', String(error));
        }
    }),
    runs,
  );
});

/** Filters as they are meant, and as somebody may write them. */
const texts = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((text) => text.isWellFormed());
const stringPaths: readonly string[] = [
  'id',
  'externalId',
  'userName',
  'displayName',
  'name.givenName',
  'emails.value',
  'emails.type',
];
interface Written {
  readonly text: string;
  readonly holds: (one: typeof olga) => boolean;
}
const fold = (path: string, text: string) =>
  path === 'id' || path === 'externalId' ? text : text.normalize('NFC').toLowerCase().normalize('NFC');
const at = (one: typeof olga, path: string): string[] => {
  const [first, second] = path.split('.') as [keyof typeof olga, string | undefined];
  const values = [one[first]].flat() as Record<string, string>[];
  const found = second ? values.map((value) => value[second]) : (values as unknown as string[]);
  return found.filter((value): value is string => value !== undefined && value !== '');
};
const compared: fc.Arbitrary<Written> = fc
  .record({
    path: fc.constantFrom(...stringPaths),
    operator: fc.constantFrom(...operators),
    // Half of them hit something.
    wanted: fc.oneof(texts, fc.constantFrom('olga', 'O', 'example', 'work', 'E-7', 'usr_1', 'Olga Ford')),
    upper: fc.boolean(),
  })
  .map(({ path, operator, wanted, upper }) => ({
    text: `${upper ? path.toUpperCase() : path} ${upper ? operator.toUpperCase() : operator} ${JSON.stringify(wanted)}`,
    holds: (one: typeof olga) => {
      const values = at(one, path).map((value) => fold(path, value));
      const literal = fold(path, wanted);
      const tests: Record<string, (value: string) => boolean> = {
        eq: (value) => value === literal,
        co: (value) => value.includes(literal),
        sw: (value) => value.startsWith(literal),
        ew: (value) => value.endsWith(literal),
        gt: (value) => value > literal,
        ge: (value) => value >= literal,
        lt: (value) => value < literal,
        le: (value) => value <= literal,
      };
      return operator === 'ne' ? !values.includes(literal) : values.some(tests[operator]!);
    },
  }));
const { filter: written } = fc.letrec<{ filter: Written }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    compared,
    fc.tuple(tie('filter'), tie('filter'), fc.boolean()).map(([left, right, isAnd]) => ({
      text: `(${left.text}) ${isAnd ? 'and' : 'OR'} (${right.text})`,
      holds: (one: typeof olga) => (isAnd ? left.holds(one) && right.holds(one) : left.holds(one) || right.holds(one)),
    })),
    tie('filter').map((inner) => ({ text: `not (${inner.text})`, holds: (one: typeof olga) => !inner.holds(one) })),
  ),
}));

test('a filter means what it says: against another reading of the same', () => {
  let held = 0;
  fc.assert(
    fc.property(
      written.filter(({ text }) => text.length <= filterLimits.characters),
      ({ text, holds }) => {
        const found = matches(parse(text), olga);
        if (found) held++;
        assert.equal(found, holds(olga), text);
      },
    ),
    runs,
  );
  assert.ok(held > 100, `only ${held} held`);
});

test('what is read less of by a key would not have matched', () => {
  fc.assert(
    fc.property(
      written.filter(({ text }) => text.length <= filterLimits.characters),
      ({ text }) => {
        const filter: Filter = parse(text);
        if (!matches(filter, olga)) return;
        for (const [path, value] of requiredValues(filter)) {
          const [first, second] = path.split('.');
          const attribute: Attribute = userAttributes.get(first!)!;
          const name = second ? `${attribute.name}.${attribute.sub!.get(second)!.name}` : attribute.name;
          assert.ok(
            at(olga, name).some((one) => fold(name, one) === fold(name, value)),
            `${text}: ${path}`,
          );
        }
      },
    ),
    runs,
  );
});
