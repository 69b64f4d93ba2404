import * as at from './places.ts';
import { type AsvsRow, met, metBy, notApplicable, notMet, partly } from './types.ts';

export const files: readonly AsvsRow[] = [
  metBy(
    'review',
    'V5.1.1',
    'security.md, "Files", says for each upload what is taken, how large, and how it is made safe to download.',
  ),
  met(
    'V5.2.1',
    'Every upload has a largest size, refused before the first byte where the length is announced and at the first byte too many otherwise; nothing is held in memory.',
    [at.hosting, 'a file that is too large is 413, announced or not'],
    [at.files, 'too large is refused at the first byte too many, and nothing stays'],
    [at.badInput, 'bodies that are too large: 2 GB announced, and streamed without end'],
    [at.listener, 'a body that nobody takes yet is not read into memory'],
  ),
  partly(
    'V5.2.2',
    'What decides something is read strictly to its end (CSV, archives). What people attach to items may be of any type: its content is not compared with its name, and it is given back as a harmless download.',
    [at.deskImport, 'a file that is no CSV is refused with what is wrong where, and is not kept'],
    [at.portability, `refused before anything is made: \${what}`],
    [at.hosting, 'a page that somebody uploads is not shown in place'],
  ),
  partly(
    'V5.2.3',
    'Uploads of users are not unpacked. Archives of tenants, which staff import, are tar without compression with an exact list of members; the dump inside is compressed, and how large it becomes is bounded by time, not by a figure.',
    [
      at.portability,
      `refused before anything is made: \${what}`,
      'a dump whose statement waits for ever ends, and nothing of it stays',
    ],
  ),
  notMet('V5.2.4', 'There is no quota of bytes or files per user; a tenant can fill the disk.'),
  met('V5.2.5', 'Of an archive exactly the named regular members are taken; anything else in it is refused.', [
    at.portability,
    `refused before anything is made: \${what}`,
  ]),
  notApplicable('V5.2.6', 'No picture is decoded on the server.'),
  met(
    'V5.3.1',
    'Files lie sealed under names that tell nothing, outside of every page, and come back through a route that checks who asks; pages are served from memory.',
    [at.files, 'content lies sealed, once per content and tenant, under a name that tells nothing'],
    [at.page, 'index.html with the nonce of the answer, for navigations only'],
  ),
  met(
    'V5.3.2',
    'Paths are made of checked ids and keyed hashes; names of users are kept as text in the database only.',
    [at.files, 'ids that are no ids find nothing and reach no path'],
    [at.fileNames, "an object's name depends on tenant, key and content"],
    [at.badInput, 'paths that lead out of what they name'],
    [at.keyStore, 'only a tenant id becomes a path'],
  ),
  met('V5.3.3', 'Archives are read in place, member by member, by offsets; no name of theirs becomes a path.', [
    at.portability,
    `refused before anything is made: \${what}`,
  ]),
  met(
    'V5.4.1',
    'Names are cleaned when they come in, and every download has a Content-Disposition.',
    [at.hosting, 'a file comes back as it was, with headers that keep it harmless'],
    [at.fileNames, 'file names are shown and saved safely'],
  ),
  met('V5.4.2', 'RFC 6266 with RFC 8187 beside a plain form in which everything odd is replaced.', [
    at.hosting,
    'a file comes back as it was, with headers that keep it harmless',
  ]),
  notMet(
    'V5.4.3',
    'Files are not scanned: there is no connection to a scanner. They are given back as harmless downloads.',
  ),
];
