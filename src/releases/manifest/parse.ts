import type { Node } from 'jsonc-parser';
import { releaseErrors } from '../errors.ts';
import type { AppCommand, AppManifest } from '../types.ts';
import { type ManifestProblem, manifestFile, readManifestDocument } from './document.ts';
import { findTemplateProblems, findVariableProblem } from './environment.ts';
import { ManifestReader, type NumberRange, show } from './reader.ts';

const keys = [
  'name',
  'title',
  'version',
  'build',
  'migrate',
  'start',
  'env',
  'health',
  'identity',
  'limits',
  'idleMinutes',
  'secrets',
] as const;

export const limitRanges: Readonly<Record<keyof AppManifest['limits'], NumberRange & { readonly standard: number }>> = {
  memoryMb: { min: 32, max: 65_536, standard: 512 },
  cpus: { min: 0.05, max: 64, whole: false, standard: 1 },
  processes: { min: 8, max: 4_096, standard: 128 },
  connections: { min: 1, max: 100, standard: 10 },
  folderMb: { min: 1, max: 1_048_576, standard: 1_024 },
  bodyMb: { min: 1, max: 1_024, standard: 100 },
};

export type CheckedManifest =
  | { readonly manifest: AppManifest; readonly problems: readonly [] }
  | { readonly manifest: undefined; readonly problems: readonly ManifestProblem[] };

/** Everything that is wrong with it, in the order of the file; or what it says, with its defaults. */
export function checkManifest(bytes: Uint8Array): CheckedManifest {
  const document = readManifestDocument(bytes);
  const reader = new ManifestReader();
  const manifest = document.root && readManifest(reader, document.root);
  const found = [...document.problems, ...reader.problems];
  if (manifest && found.length === 0) return { manifest, problems: [] };
  const problems = found
    .toSorted((a, b) => a.offset - b.offset)
    .map(({ offset, text }) => ({ ...document.place(offset), text }));
  return { manifest: undefined, problems };
}

/** FH_APP_MANIFEST_INVALID with every problem on a line of its own. */
export function parseManifest(bytes: Uint8Array): AppManifest {
  const { manifest, problems } = checkManifest(bytes);
  if (!manifest) throw releaseErrors.FH_APP_MANIFEST_INVALID({ detail: problems.map(showProblem).join('\n') });
  return manifest;
}

/** `freehold.app.json:LINE:COLUMN: text` */
export function showProblem({ line, column, text }: ManifestProblem): string {
  return `${manifestFile}:${line}:${column}: ${text}`;
}

function readManifest(reader: ManifestReader, root: Node): AppManifest | undefined {
  const members = reader.members(root, manifestFile, keys);
  if (root.type !== 'object') return undefined;
  const required = (key: 'name' | 'version' | 'start', example: string): Node | undefined =>
    members[key] ?? reader.report(root, `"${key}" is missing; write for example "${key}": ${example}`);

  const nameNode = required('name', '"tickets"');
  const name = nameNode && readName(reader, nameNode);
  const versionNode = required('version', '"1.0.0"');
  const version = versionNode && readVersion(reader, versionNode);
  const startNode = required('start', '"node server.js"');
  const start = startNode && readCommand(reader, startNode, 'start');
  const secrets = readSecrets(reader, members.secrets);
  const identity = readIdentity(reader, members.identity);
  const manifest = {
    name,
    title: members.title ? readTitle(reader, members.title) : name,
    version,
    build: members.build && readCommand(reader, members.build, 'build'),
    migrate: members.migrate && readCommand(reader, members.migrate, 'migrate'),
    start,
    env: readEnv(reader, members.env, { secrets, identity: identity.kind }),
    health: readHealth(reader, members.health),
    identity,
    limits: readLimits(reader, members.limits),
    idleMinutes: members.idleMinutes
      ? reader.number(members.idleMinutes, 'idleMinutes', { min: 0, max: 10_080, whole: false })
      : 15,
    secrets,
  };
  // What is undefined here was reported.
  return reader.problems.length === 0 ? (manifest as AppManifest) : undefined;
}

function readName(reader: ManifestReader, node: Node): string | undefined {
  const name = reader.text(node, 'name', { max: 200 });
  if (name === undefined || /^[a-z][a-z0-9-]{0,38}[a-z0-9]$/.test(name)) return name;
  return reader.report(
    node,
    `name is ${show(name)}; use 2 to 40 of a–z, 0–9 and -, from a letter to a letter or digit`,
  );
}

/** It is also the name of a folder. */
function readVersion(reader: ManifestReader, node: Node): string | undefined {
  const version = reader.text(node, 'version', { max: 200 });
  if (version === undefined || /^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$/.test(version)) return version;
  return reader.report(
    node,
    `version is ${show(version)}; use at most 64 letters, digits, '.', '-', '+' and '_', beginning with a letter or digit`,
  );
}

function readTitle(reader: ManifestReader, node: Node): string | undefined {
  const title = reader.text(node, 'title', { max: 120 });
  if (title === undefined || /^(?=.*\S)\P{C}+$/u.test(title)) return title;
  return reader.report(node, 'title holds characters that cannot be shown; write one line of text');
}

function readCommand(reader: ManifestReader, node: Node, what: string): AppCommand | undefined {
  if (node.type === 'string') {
    const line = reader.text(node, what, { max: 4_096 });
    if (line?.trim() === '') return reader.report(node, `${what} is empty; write a command or leave the key out`);
    return line;
  }
  if (node.type !== 'array')
    return reader.report(node, `${what} is no command; write "one line for the shell" or ["program", "argument", …]`);
  const items = reader.list(node, what, 256);
  if (items?.length === 0) return reader.report(node, `${what} is empty; write a command or leave the key out`);
  const words = items?.map((item, at) =>
    reader.text(item, `word ${at + 1} of ${what}`, { max: 4_096, allowEmpty: at > 0 }),
  );
  return words?.every((word) => word !== undefined) ? words : undefined;
}

function readSecrets(reader: ManifestReader, node: Node | undefined): readonly string[] {
  const names: string[] = [];
  for (const item of (node && reader.list(node, 'secrets', 50)) ?? []) {
    const name = reader.text(item, 'the name of a secret', { max: 200 });
    if (name === undefined) continue;
    if (!/^[A-Za-z][A-Za-z0-9_-]{0,39}$/.test(name))
      reader.report(
        item,
        `${show(name)} is no name of a secret; use 1 to 40 letters, digits, - and _, beginning with a letter`,
      );
    else if (names.includes(name)) reader.report(item, `the secret ${show(name)} is here twice; leave one of them`);
    else names.push(name);
  }
  return names;
}

function readEnv(
  reader: ManifestReader,
  node: Node | undefined,
  context: Parameters<typeof findTemplateProblems>[1],
): AppManifest['env'] {
  const variables = node ? reader.entries(node, 'env') : [];
  if (variables.length > 250) reader.report(node!, `env has ${variables.length} variables; at most 250 are allowed`);
  const env: [string, string][] = [];
  for (const { key, keyNode, value } of variables) {
    const problem = findVariableProblem(key);
    if (problem) reader.report(keyNode, `env: ${show(key)} ${problem}`);
    const template = reader.text(value, show(key), { max: 8_192, allowEmpty: true });
    if (template === undefined) continue;
    for (const wrong of findTemplateProblems(template, context)) reader.report(value, `${show(key)} ${wrong}`);
    env.push([key, template]);
  }
  return Object.fromEntries(env);
}

function readHealth(reader: ManifestReader, node: Node | undefined): AppManifest['health'] {
  const { path, startSeconds } = reader.members(node, 'health', ['path', 'startSeconds']);
  return {
    path: (path && readPath(reader, path, 'health.path')) ?? '/',
    startSeconds: (startSeconds && reader.number(startSeconds, 'health.startSeconds', { min: 1, max: 600 })) ?? 60,
  };
}

const identityKinds = ['none', 'headers', 'oidc'] as const;
/** Which kind a list of paths is for. */
const kindOfPaths = { publicPaths: 'headers', redirectPaths: 'oidc', signedOutPaths: 'oidc' } as const;

function readIdentity(reader: ManifestReader, node: Node | undefined): AppManifest['identity'] {
  const names = Object.keys(kindOfPaths) as (keyof typeof kindOfPaths)[];
  const members = reader.members(node, 'identity', ['kind', ...names]);
  if (node?.type === 'object' && !members.kind)
    reader.report(node, `"kind" is missing; write ${identityKinds.map((kind) => `"${kind}"`).join(', ')}`);
  const given = members.kind && reader.oneOf(members.kind, 'identity.kind', identityKinds);
  const kind = given ?? 'none';
  const lists = names.map((name) => {
    const list = members[name];
    const meant = kindOfPaths[name];
    if (list && given && kind !== meant)
      reader.report(list, `${name} are of use only with "kind": "${meant}"; leave them out`);
    const items = (list && reader.list(list, `identity.${name}`, 100)) ?? [];
    const what = name === 'publicPaths' ? 'a public path' : `a path of ${name}`;
    return [name, items.flatMap((item) => readPath(reader, item, what) ?? [])] as const;
  });
  if (kind === 'oidc' && !members.redirectPaths)
    reader.report(members.kind!, '"redirectPaths" are missing; write for example "redirectPaths": ["/auth/callback"]');
  else if (kind === 'oidc' && members.redirectPaths!.children?.length === 0)
    reader.report(members.redirectPaths!, 'redirectPaths are empty; write for example ["/auth/callback"]');
  return { kind, ...(Object.fromEntries(lists) as Record<keyof typeof kindOfPaths, string[]>) };
}

/** Only what every URL parser reads the same way: the gateway compares it with what clients send. */
function readPath(reader: ManifestReader, node: Node, what: string): string | undefined {
  const path = reader.text(node, what, { max: 200 });
  if (path === undefined) return undefined;
  if (!/^\/[A-Za-z0-9/._~!$&'()*+,;=:@-]*$/.test(path) || /\/\/|\/\.\.?(?:\/|$)/.test(path))
    return reader.report(
      node,
      `${what} is ${show(path)}; write a plain path that begins with /, without %, ?, #, // and ..`,
    );
  if (/^\/-(?:\/|$)/.test(path))
    return reader.report(node, `${what} is ${show(path)}; what is below /-/ is the platform's`);
  return path;
}

function readLimits(reader: ManifestReader, node: Node | undefined): AppManifest['limits'] {
  const names = Object.keys(limitRanges) as (keyof AppManifest['limits'])[];
  const members = reader.members(node, 'limits', names);
  const limits = names.map((name) => {
    const value = members[name];
    const { standard } = limitRanges[name];
    return [name, value ? (reader.number(value, `limits.${name}`, limitRanges[name]) ?? standard) : standard];
  });
  return Object.fromEntries(limits);
}
