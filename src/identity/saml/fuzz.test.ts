import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { DOMParser, XMLSerializer } from '@xmldom/xmldom';
import { type Chance, startChance } from '../../../test/faults/support/random.ts';
import {
  base64,
  createWorld,
  expectedResponse,
  genuineResponse,
  type Mode,
  modes,
  nowMs,
  protect,
  type World,
} from './idp.fixture.ts';
import { judge } from './judge.ts';

/**
 * Genuine responses, altered at random. Altering may be harmless (a blank between attributes, a prefix), so being accepted is no fault by
 * itself; being accepted as anything else than what was signed is. Judged in this process: an exception other than a refusal would be
 * `unavailable`, which must not happen either.
 */

/** 8 000 for each mode were run with seed 777. */
const perMode = 200;

let world: World;
before(async () => {
  world = await createWorld();
});

const pieces = [
  '<',
  '>',
  '&',
  '"',
  '/',
  ':',
  '=',
  ' ',
  '\n',
  '\r',
  '\u0000',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  '<?x ?>',
  '&#0;',
  '&#13;',
  '&amp;',
  'xmlns=""',
  'ID="_a0001"',
  '\u200b',
  '\ufeff',
  '%00',
  '../',
];

/** Bytes: changes, takes away, doubles or puts in. */
function alterText(text: string, chance: Chance): string {
  const pick = chance.below;
  const at = pick(text.length);
  const length = 1 + pick(40);
  switch (pick(5)) {
    case 0:
      return text.slice(0, at) + String.fromCharCode(32 + pick(95)) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + text.slice(at + length);
    case 2:
      return text.slice(0, at) + text.slice(at, at + length) + text.slice(at);
    case 3:
      return text.slice(0, at) + pieces[pick(pieces.length)] + text.slice(at);
    default: {
      const from = pick(text.length);
      return text.slice(0, at) + text.slice(from, from + length * 10) + text.slice(at);
    }
  }
}

/** Elements: moves, copies, renames, takes away, empties, or exchanges texts and attributes. */
function alterNodes(text: string, chance: Chance): string {
  const pick = chance.below;
  const document = new DOMParser().parseFromString(text, 'text/xml');
  const all = Array.from(document.getElementsByTagName('*'));
  const one = all[1 + pick(all.length - 1)]!;
  const other = all[pick(all.length)]!;
  switch (pick(7)) {
    case 0:
      one.parentNode!.removeChild(one);
      break;
    case 1:
      if (!contains(one, other)) other.appendChild(one);
      break;
    case 2:
      other.insertBefore(one.cloneNode(true), other.firstChild);
      break;
    case 3:
      one.textContent = other.textContent;
      break;
    case 4: {
      const attribute = one.attributes[pick(one.attributes.length)];
      const source = other.attributes[pick(other.attributes.length)];
      if (attribute && source) one.setAttribute(attribute.name, source.value);
      break;
    }
    case 5: {
      const attribute = one.attributes[pick(one.attributes.length)];
      if (attribute) one.removeAttribute(attribute.name);
      break;
    }
    default:
      one.parentNode!.insertBefore(one.cloneNode(true), one);
  }
  return new XMLSerializer().serializeToString(document);
}

function contains(outer: Node, inner: Node): boolean {
  for (let node: Node | null = inner; node; node = node.parentNode) if (node === outer) return true;
  return false;
}

test('whatever is altered, nobody else than who was signed is accepted', (context) => {
  const chance = startChance(20_261_122);
  const { seed } = chance;
  context.diagnostic(`seed ${seed} (keys and signatures are new in every run)`);
  const counts = { refused: 0, same: 0 };
  for (const mode of modes as readonly Mode[]) {
    const genuine = protect(genuineResponse(), mode, world);
    const signed = judged(genuine);
    assert.ok(signed.ok);
    for (let round = 0; round < perMode; round++) {
      let altered = genuine;
      const times = 1 + chance.below(3);
      for (let time = 0; time < times; time++)
        altered = time > 0 || chance.below(2) === 0 ? alterText(altered, chance) : alterNodes(altered, chance);
      const outcome = judged(altered);
      const what = `${mode}, round ${round}, seed ${seed}`;
      if (outcome.ok) {
        assert.deepEqual(outcome.value, signed.value, what);
        counts.same += 1;
      } else {
        assert.notEqual(outcome.reason, 'unavailable', `${what}: not a refusal but a fault`);
        counts.refused += 1;
      }
    }
  }
  context.diagnostic(`${counts.refused} refused, ${counts.same} accepted as what was signed`);
});

function judged(text: string) {
  return judge({ kind: 'response', samlResponse: base64(text), expected: expectedResponse(world), nowMs });
}
