/**
 * `freehold.app.json`: strict, whole, once. Unknown keys, doubled keys, values out of range and `${…}` that name nothing are all said at once, each
 * with its line and column. Pure: reads no file.
 */
export { type ManifestProblem, manifestFile, maxManifestBytes } from './document.ts';
export { factNames, givenVariables, resolveEnvironment } from './environment.ts';
export { type CheckedManifest, checkManifest, limitRanges, parseManifest, showProblem } from './parse.ts';
