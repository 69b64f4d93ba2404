import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { silentLog } from '#src/kernel/index.ts';
import { type AttackCase, catalogue, flowCases } from './catalogue.fixture.ts';
import { createSamlEngine } from './engine.ts';
import {
  attacker,
  base64,
  createWorld,
  expectedResponse,
  type Mode,
  nowMs,
  victim,
  type World,
} from './idp.fixture.ts';
import { refusals } from './refusals.ts';
import type { SamlEngine } from './types.ts';

let world: World;
let engine: SamlEngine;

before(async () => {
  world = await createWorld();
  engine = createSamlEngine({ clock: { now: () => nowMs, monotonicMs: () => nowMs }, log: silentLog });
  // The start of the worker is not part of what a message takes.
  await engine.verifyResponse({ samlResponse: '', expected: expectedResponse(world) });
});
after(() => engine.stop());

async function judge(attack: AttackCase, mode: Mode) {
  const made = await attack.make(world, mode);
  const samlResponse = typeof made === 'string' ? base64(made) : made.field;
  const usual = expectedResponse(world);
  const expected = (await attack.expected?.(usual, world)) ?? usual;
  const began = performance.now();
  const verdict = await engine.verifyResponse({ samlResponse, expected });
  return { verdict, tookMs: performance.now() - began };
}

test('every document of the catalogue is refused, for its own reason', async (context) => {
  const taken: { name: string; ms: number }[] = [];
  const wrong: string[] = [];
  let count = 0;
  for (const attack of catalogue)
    for (const mode of attack.modes) {
      const { verdict, tookMs } = await judge(attack, mode);
      const reason = typeof attack.reason === 'string' ? attack.reason : attack.reason[mode];
      const name = `${attack.number} ${attack.title} (${mode})`;
      count += 1;
      taken.push({ name, ms: tookMs });
      if (verdict.ok) wrong.push(`${name}: ACCEPTED`);
      else {
        if (verdict.reason !== reason) wrong.push(`${name}: ${verdict.reason} instead of ${reason}`);
        // Nothing of the document and no trace of the program: exactly these three fields, the sentence from the list.
        assert.deepEqual(verdict, { ok: false, reason: verdict.reason, sentence: refusals[verdict.reason] });
      }
    }
  assert.deepEqual(wrong, []);
  assert.ok(count >= 300, `only ${count} documents`);
  taken.sort((a, b) => a.ms - b.ms);
  const at = (share: number) => taken[Math.min(taken.length - 1, Math.floor(taken.length * share))]!.ms.toFixed(1);
  const within = taken.filter(({ ms }) => ms <= 50).length;
  context.diagnostic(`${count} of ${count} documents refused, ${catalogue.length} cases`);
  context.diagnostic(
    `milliseconds: median ${at(0.5)}, 95% ${at(0.95)}, most ${at(1)}; ${within} of ${count} within 50`,
  );
});

test('the numbers of the catalogue are all there: in the engine, or named for the flow', () => {
  const here = new Set(catalogue.map(({ number }) => Number.parseInt(number, 10)));
  const elsewhere = new Set([44, ...Object.keys(flowCases).map(Number)]);
  const missing = Array.from({ length: 124 }, (_, at) => at + 1).filter((n) => !here.has(n) && !elsewhere.has(n));
  assert.deepEqual(missing, []);
  const documents = catalogue.map(({ number }) => number);
  assert.equal(new Set(documents).size, documents.length, 'a number twice');
});

test('no refusal has a name of a person in it', () => {
  for (const sentence of Object.values(refusals)) {
    assert.ok(!sentence.includes(attacker) && !sentence.includes(victim));
    assert.match(sentence, /\.$/);
  }
});
