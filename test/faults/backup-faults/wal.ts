/** F01 to F15: WAL, and its way to the regions and back. */
import { disk, panic, planning, recoveryFaults, s3, shipping, spoiltSegment } from './places.ts';
import type { BackupFault } from './types.ts';

export const walFaults: readonly BackupFault[] = [
  {
    id: 'F01',
    what: 'The store says that it has the WAL, and has nothing.',
    outcome: 'prevented',
    how: 'No command of anybody decides: every object is read back before it counts as stored. What gets lost later turns the verification of that region red.',
    tests: [
      [disk, 'bytes that come back changed are FH_REGION_DAMAGED, and nobody sees them'],
      [s3, 'bytes that come back changed: damaged, and gone, so that the same put works'],
    ],
  },
  {
    id: 'F02',
    what: 'A piece of WAL is missing in the middle, and recovery takes that for the end.',
    outcome: 'detected',
    how: 'The plan of a restore wants WAL without a hole up to the target and names the hole; the target is explicit and must be reached; verification looks for the canary.',
    tests: [[planning, 'a hole before the target is named, one behind it is no matter'], spoiltSegment],
  },
  {
    id: 'F03',
    what: 'WAL in the middle is flipped or all zeros, and recovery ends there without a word.',
    outcome: 'detected',
    how: 'Objects are sealed with authentication; every segment is looked at before PostgreSQL gets it; a target that was not reached is an error.',
    tests: [
      spoiltSegment,
      [recoveryFaults, 'a hole inside of a segment is damage, not the end'],
      [
        'src/backups/forged-objects.test.ts',
        'a manifest, WAL, a history and a header sealed under a tenant key are not those of the cluster',
      ],
    ],
  },
  {
    id: 'F04',
    what: 'A segment was cut off and stored as if it were whole.',
    outcome: 'detected',
    how: 'A flag in the last part of a sealed object makes every cut an error; a segment of another size never reaches PostgreSQL.',
    tests: [
      ['src/keys/sealed-object.test.ts', 'an object cut at any byte, or longer by anything, is one error'],
      spoiltSegment,
    ],
  },
  {
    id: 'F05',
    what: 'The network, a credential or a key fails while WAL is fetched, and recovery reads that as the end.',
    outcome: 'prevented',
    how: '"Not there" is answered only for what is certainly not there; all else stops the server.',
    tests: [[recoveryFaults, 'a source that fails is never taken for the end of the WAL']],
  },
  {
    id: 'F06',
    what: 'The history file of a timeline is missing, and recovery stays on the older one.',
    outcome: 'prevented',
    how: 'The history is in every region before the first chunk of its timeline; a plan without it is an error, and so is a recovery.',
    tests: [
      [
        `${shipping}/faults.test.ts`,
        'a new timeline: its history comes first, its segments are whole, and a restore crosses the switch',
      ],
      [planning, 'a missing history file is an error, never a silent restore of the older timeline'],
      [recoveryFaults, 'across a promotion: the history says which line, and without it there is no way'],
    ],
  },
  {
    id: 'F07',
    what: 'The timeline forks inside a base backup, or the one that is asked for is no child of it.',
    outcome: 'prevented',
    how: 'A plan names one line of timelines, and takes no backup that was not finished when the line left its timeline.',
    tests: [
      [planning, 'a backup that was not finished when the line left its timeline is not on the line'],
      [planning, 'a time is restored on the timeline that was live then'],
    ],
  },
  {
    id: 'F08',
    what: 'Two primaries store other bytes under one name.',
    outcome: 'prevented',
    how: 'Objects are only ever created; the same place with other WAL ends shipping with an alarm; a spool belongs to one system; an old primary is refused.',
    tests: [
      [
        `${shipping}/faults.test.ts`,
        'other bytes under the name of a chunk are a second writer: nothing is overwritten and shipping ends',
      ],
      [`${shipping}/faults.test.ts`, 'an old primary that comes back is not shipped from'],
      [`${shipping}/spool.test.ts`, 'a spool belongs to one cluster, and holds nothing else'],
    ],
  },
  {
    id: 'F09',
    what: 'The server starts, success is told, and seconds later it dies in a PANIC.',
    outcome: 'prevented',
    how: 'Nobody is let in before recovery is over; then the history file, the server itself and our own feed of WAL must agree.',
    tests: [
      [
        panic,
        'written without full pages, a restore of one database ends in a PANIC after the start: an error, never a server',
      ],
      [panic, 'the server dies in the middle of replay: killed, or because a file cannot be opened'],
    ],
  },
  {
    id: 'F10',
    what: 'The moment that is asked for lies behind the last WAL.',
    outcome: 'prevented',
    how: 'The plan refuses it with the nearest moment that there is; a recovery that ends before its target is an error.',
    tests: [
      [planning, 'before the oldest backup and behind the newest WAL: told with the nearest moment'],
      [recoveryFaults, `not reached: \${what}`],
    ],
  },
  {
    id: 'F11',
    what: 'The slot was invalidated, and receiving goes on behind a hole.',
    outcome: 'detected',
    how: 'The gap is announced with both ends, kept in the status, an alarm, and an error for whoever reads across it.',
    tests: [
      [
        `${shipping}/faults.test.ts`,
        'a slot that was invalidated is a gap: announced, named by whoever reads across it, and shipped on behind it',
      ],
      [
        `${shipping}/catch-up.test.ts`,
        'what no region holds any more is a gap that is named, and the rest is copied all the same',
      ],
    ],
  },
  {
    id: 'F12',
    what: 'WAL is received, and nothing is stored any more.',
    outcome: 'detected',
    how: 'The lag that is shown and alarmed is measured at each region, by what was read back there, and grows when a region is silent.',
    tests: [
      [
        `${shipping}/stuck.test.ts`,
        'a region that takes the bytes and never answers: the lag is that of the region, and it is an alarm',
      ],
      [
        `${shipping}/faults.test.ts`,
        'a region goes away: commits go on, but for those with recovery point zero; it catches up by itself, and so do they',
      ],
    ],
  },
  {
    id: 'F13',
    what: 'The last segment exists only in part, and recovery leaves it out.',
    outcome: 'impossible',
    how: 'There are no partial segments: chunks are complete objects, and a restore puts the last segment together from them.',
    tests: [
      [
        `${shipping}/kill.test.ts`,
        'the whole machine dies: one region alone restores what was committed until a second before',
      ],
    ],
  },
  {
    id: 'F14',
    what: 'A crash leaves an empty object, and storing stands still because of it.',
    outcome: 'detected',
    how: 'Our own objects get their name when they are whole and on the disk. One that lost its content all the same keeps its region back with an alarm; the other region goes on.',
    tests: [
      [disk, `killed at \${point}: the object is whole or not there, and what stays is swept`],
      [
        `${shipping}/stuck.test.ts`,
        'an empty object under the name of the next chunk, as a crash leaves it: an alarm that names the region, not a silent stop',
      ],
      [recoveryFaults, 'across a promotion: the history says which line, and without it there is no way'],
    ],
    missing: 'The alarm names the region and the reason, not the object; a person has to find and remove it.',
  },
  {
    id: 'F15',
    what: 'A full queue makes the tool drop WAL and call it stored.',
    outcome: 'prevented',
    how: 'At the limit nothing more is received and nothing confirmed: PostgreSQL keeps it. What one region lacks, another owes it, which is written down.',
    tests: [
      [
        `${shipping}/catch-up.test.ts`,
        'both regions are away: nothing is dropped, nothing is received, and it goes on by itself',
      ],
      [
        `${shipping}/catch-up.test.ts`,
        'a region is away for longer than the spool can hold: the other goes on, and copies it all when it is back',
      ],
      [`${shipping}/owed.test.ts`, 'a record that cannot be understood is an error, never an empty one'],
    ],
  },
];
