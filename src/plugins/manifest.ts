import { Cron } from 'croner';
import { auditEvents } from '#src/audit/index.ts';
import { pluginErrors } from './errors.ts';
import { isPackagePath } from './paths.ts';
import type { PluginManifest } from './types.ts';

export const pluginManifestFile = 'freehold.plugin.json';
const maxManifestBytes = 64 * 1024;
const limits = {
  memoryMb: { min: 64, max: 1_024, standard: 128 },
  timeoutSeconds: { min: 1, max: 300, standard: 30 },
} as const;
/** Between two runs of a schedule. */
const leastPauseMs = 60_000;
const hostPattern =
  /^(?=.{1,260}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,62}(?::[1-9][0-9]{0,4})?$/;

/** FH_PLUGIN_INVALID with everything that is wrong, a line for each. Nothing that is not in docs/plugins.md is taken. */
export function parsePluginManifest(bytes: Uint8Array): PluginManifest {
  const problems: string[] = [];
  const manifest = readManifest(readObject(bytes), problems);
  if (problems.length > 0)
    throw pluginErrors.FH_PLUGIN_INVALID({
      detail: problems.map((problem) => `${pluginManifestFile}: ${problem}`).join('\n'),
    });
  return manifest;
}

/** When the schedule is due next. */
export function nextRunOf({ capabilities: { schedule } }: PluginManifest, after: Date): Date | undefined {
  return schedule === undefined ? undefined : (new Cron(schedule, { timezone: 'UTC' }).nextRun(after) ?? undefined);
}

type Json = Readonly<Record<string, unknown>>;

function readObject(bytes: Uint8Array): Json {
  if (bytes.length > maxManifestBytes)
    throw pluginErrors.FH_PLUGIN_INVALID({ detail: `${pluginManifestFile} is longer than 64 KiB` });
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isObject(value)) return value;
  } catch (cause) {
    throw pluginErrors.FH_PLUGIN_INVALID({
      detail: `${pluginManifestFile} is not JSON: ${(cause as Error).message}`,
      cause,
    });
  }
  throw pluginErrors.FH_PLUGIN_INVALID({ detail: `${pluginManifestFile} is not an object: { … }` });
}

function readManifest(root: Json, problems: string[]): PluginManifest {
  const report = (problem: string) => void problems.push(problem);
  const members = (value: unknown, what: string, keys: readonly string[]): Json => {
    if (value === undefined) return {};
    if (!isObject(value)) {
      report(`${what} is no object; write { … }`);
      return {};
    }
    for (const key of Object.keys(value))
      if (!keys.includes(key)) report(`${what} has no key ${show(key)}; it has ${keys.join(', ')}`);
    return value;
  };
  const text = (value: unknown, what: string, pattern: RegExp, example: string): string => {
    if (typeof value === 'string' && pattern.test(value)) return value;
    report(value === undefined ? `"${what}" is missing; write ${example}` : `${what} is ${show(value)}; ${example}`);
    return '';
  };
  const list = (value: unknown, what: string, max: number): readonly unknown[] => {
    if (value === undefined) return [];
    if (Array.isArray(value) && value.length <= max && new Set(value).size === value.length) return value;
    report(`${what} is no list of at most ${max} different texts`);
    return [];
  };

  const top = members(root, 'the file', ['name', 'version', 'title', 'entry', 'capabilities', 'limits']);
  const name = text(top.name, 'name', /^[a-z][a-z0-9-]{0,38}[a-z0-9]$/, 'use 2 to 40 of a–z, 0–9 and -, from a letter');
  const version = text(top.version, 'version', /^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$/, 'use for example "1.0.0"');
  const title = top.title === undefined ? name : text(top.title, 'title', /^(?=.*\S)\P{C}{1,120}$/u, 'use one line');
  const entry = text(top.entry, 'entry', /^.{1,200}\.m?js$/, 'use a module of the folder, for example "main.mjs"');
  if (entry !== '' && !isPackagePath(entry)) report(`entry is ${show(entry)}; use a plain path within the folder`);

  const wanted = members(top.capabilities, 'capabilities', ['api', 'events', 'schedule', 'outgoing']);
  const api = wanted.api;
  if (api !== undefined && api !== 'read' && api !== 'write') report('capabilities.api: write "read" or "write"');
  const events = list(wanted.events, 'capabilities.events', 50);
  for (const event of events)
    if (typeof event !== 'string' || !Object.hasOwn(auditEvents, event))
      report(`capabilities.events: ${show(event)} is no event of docs/events.md`);
  const outgoing = list(wanted.outgoing, 'capabilities.outgoing', 20);
  for (const host of outgoing)
    if (typeof host !== 'string' || !hostPattern.test(host))
      report(`capabilities.outgoing: ${show(host)} is no host name, for example "api.example.com"`);
  const { schedule } = wanted;
  const trouble = schedule === undefined ? undefined : findScheduleTrouble(schedule);
  if (trouble) report(`capabilities.schedule: ${show(schedule)} ${trouble}`);

  const given = members(top.limits, 'limits', Object.keys(limits));
  const number = (key: keyof typeof limits): number => {
    const { min, max, standard } = limits[key];
    const value = given[key] ?? standard;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    report(`limits.${key} is ${show(value)}; write a whole number from ${min} to ${max}`);
    return standard;
  };
  return {
    name,
    version,
    title,
    entry,
    capabilities: {
      api: api as 'read' | 'write' | undefined,
      events: events as string[],
      schedule: schedule as string | undefined,
      outgoing: outgoing as string[],
    },
    limits: { memoryMb: number('memoryMb'), timeoutSeconds: number('timeoutSeconds') },
  };
}

function findScheduleTrouble(schedule: unknown): string | undefined {
  if (
    typeof schedule !== 'string' ||
    schedule.length > 100 ||
    !/^[0-9*/,\-A-Za-z#?]+(?: [0-9*/,\-A-Za-z#?]+){4}$/.test(schedule)
  )
    return 'is not five fields of cron, for example "0 3 * * *" (03:00 UTC every day)';
  try {
    const [first, second] = new Cron(schedule, { timezone: 'UTC' }).nextRuns(2, new Date(0));
    if (!first) return 'is never due';
    return second && second.getTime() - first.getTime() < leastPauseMs ? 'is due more than once a minute' : undefined;
  } catch (error) {
    return `is not understood: ${(error as Error).message}`;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
