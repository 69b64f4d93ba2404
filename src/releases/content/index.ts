/**
 * The content of a version: from a folder to a tar archive, and safely back. Refused before anything is written: paths and links that lead out, devices, setuid
 * bits, names that collide, archives without end (content.test.ts). Pure file work; knows no database.
 */
export { maxArchiveBytes, maxEntries } from './entries.ts';
export { type InspectedVersion, inspectVersion } from './inspect.ts';
export { type CheckedFolder, checkFolder, packFolder } from './pack.ts';
export { unpackVersion } from './unpack.ts';
