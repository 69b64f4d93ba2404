/** F16 to F36: retention, keys, regions, base backups, dumps, restores. */
import {
  base,
  disk,
  drill,
  dumps,
  panic,
  planning,
  recoveryFaults,
  restore,
  retention,
  s3,
  shipping,
  standby,
  unfit,
  verification,
} from './places.ts';
import type { BackupFault } from './types.ts';

export const otherFaults: readonly BackupFault[] = [
  {
    id: 'F16',
    what: 'Retention removes what is needed: the newest, one under way, WAL of a kept backup, all of it after a leap of the clock.',
    outcome: 'prevented',
    how: 'One pure function decides, by places in the WAL and two clocks; what it does not understand stays; each removal asks again who needs it. What a rule of the bucket removes is detected.',
    tests: [
      [`${retention}/decide.test.ts`, 'nothing goes before there is a backup, and the newest backup never goes'],
      [`${retention}/decide.test.ts`, 'a chain over a switch stays whole, the abandoned end with it'],
      [
        `${retention}/decide.test.ts`,
        'a backup in progress: what it has written, however old it looks; others only for a while',
      ],
      [`${retention}/decide.test.ts`, 'a clock that leaps ahead moves the horizon by two days at most'],
      [
        `${retention}/run.test.ts`,
        'a base backup that ended between the listing and the decision: what it names again stays',
      ],
      [`${retention}/run.test.ts`, 'WAL that another region is owed stays, and all of it while nobody can say'],
      [
        `${retention}/real-restores.test.ts`,
        'whatever goes on meanwhile, no moment since the horizon is lost, and restores prove it',
      ],
    ],
  },
  {
    id: 'F17',
    what: 'A key is wrong, lost, or was rotated and the old one thrown away; or one path forgets to encrypt.',
    outcome: 'detected',
    how: 'Wrapped keys lie in every region before their first use and old versions stay; verification and drills open with the keys of the region alone. There is no call that stores WAL, backups or dumps unsealed.',
    tests: [
      [
        'src/keys/cold-keys.test.ts',
        'keys from a region alone are those of the key store; a lost and a changed copy are named, a destroyed key is destroyed',
      ],
      [
        'src/keys/recovery-kit.test.ts',
        'a stranger with the page and what a region holds has the same keys, and no others',
      ],
      [
        'src/keys/backup-keys.test.ts',
        'what was sealed before a rotation opens after it, for backups and for every older use',
      ],
      [
        'src/keys/escrow.test.ts',
        'a copy that is lost is written again; other bytes and strange names are reported and not touched',
      ],
    ],
    missing:
      'That the operator still has the page of the recovery kit is not asked by any drill; that every object in a region is sealed is looked at for dumps, not scanned for all.',
  },
  {
    id: 'F18',
    what: 'The second region is stale or in part, or a manifest lies there without its objects.',
    outcome: 'detected',
    how: 'Verification and drills take the regions in turn and read nothing from the other; a manifest is the last object, in copies too.',
    tests: [
      [
        verification,
        'a changed bit in a tenant object of one region: the tenant and the object are named, the others are compared',
      ],
      [
        drill,
        'the installation from one region, while the other is not there; what was written after the ledger is no fault',
      ],
      [drill, 'files that the region lacks, and an object that was changed: the tenant is named'],
      [
        `${base}/kill.test.ts`,
        `a copy killed at \${point}: the backup is there only when it is whole, and the copy can be done again`,
      ],
      [`${base}/faults.test.ts`, 'a copy of an object that was damaged in the one region never reaches the other'],
    ],
  },
  {
    id: 'F19',
    what: 'A page fails its checksum while it is backed up, and that is only a warning.',
    outcome: 'detected',
    how: 'The backup is kept and marked suspect with the tenant and the file; it counts neither for retention nor for comparison, and doctor, the health page and the audit log say so.',
    tests: [
      [
        `${base}/faults.test.ts`,
        'a page that fails its checksum: the backup is kept, suspect, and says whose page it is',
      ],
      [planning, 'a suspect backup only when nothing else reaches the target, and it says so'],
      [`${retention}/decide.test.ts`, 'one never counts as the backup from which retention begins'],
      [
        'src/main/suspect-backups.test.ts',
        'a page that failed its checksum is a problem, with the tenants, until a base backup is sound again',
      ],
    ],
  },
  {
    id: 'F20',
    what: 'An index or a table is damaged although every checksum is right.',
    outcome: 'detected',
    how: 'Verification runs pg_amcheck over the restored tenant, each index against its table, and compares rows and content with the ledger.',
    tests: [[verification, 'rows that differ from the ledger: the table is named']],
  },
  {
    id: 'F21',
    what: 'Texts sort otherwise on the machine of the restore, and indexes are wrong.',
    outcome: 'detected',
    how: 'Databases sort by code point, which never changes; verification compares the version of every other collation in use.',
    tests: [],
  },
  {
    id: 'F22',
    what: 'A base backup is there, the WAL of its own making is not.',
    outcome: 'prevented',
    how: 'Such a backup counts as none for restores and retention.',
    tests: [[planning, 'a backup without the WAL of its own end is none, whatever is asked of it']],
  },
  {
    id: 'F23',
    what: 'A backup_label or tablespace_map is lost, and the copy starts as if after a crash.',
    outcome: 'prevented',
    how: 'Without backup_label no recovery starts; clusters with tablespaces are refused; the manifest of PostgreSQL is compared with what came.',
    tests: [unfit, [`${base}/postgres-manifest.test.ts`, 'files and WAL, wherever the text is cut']],
  },
  {
    id: 'F24',
    what: 'The restored server archives into the archive of the one that is running.',
    outcome: 'prevented',
    how: 'A scratch server runs with a configuration of its own: no archiving, no replication, no network; settings of the source are not obeyed.',
    tests: [[recoveryFaults, 'settings of the source and its other remains do not come along']],
  },
  {
    id: 'F25',
    what: 'Dumps are made for months and hold an error message.',
    outcome: 'prevented',
    how: 'A dump exists only when pg_dump ended well; each is loaded into a scratch server and compared with what its snapshot held.',
    tests: [
      [dumps, 'without rights or a server there is no dump anywhere, and the next source is tried'],
      [dumps, 'what is damaged, cut off, or not what the snapshot held fails verification, and says so'],
      ['src/main/dumps.test.ts', 'a tenant that cannot be dumped keeps nobody else from being, and is told'],
    ],
  },
  {
    id: 'F26',
    what: 'A dump lacks rows that the role may not see, large objects, sequences, roles or extensions.',
    outcome: 'detected',
    how: 'Hidden rows make pg_dump fail; rows, sequences and large objects are compared after loading; roles are no part of a dump, control makes them.',
    tests: [
      [
        'src/backups/dumps/row-security.test.ts',
        'row security that hides rows from the dumping role: no dump at all; sequences and generated columns come along',
      ],
      [dumps, 'a dump lies in both regions, is its tenant’s, and restores to what its snapshot held'],
    ],
    missing: 'Functions, triggers and privileges are loaded without an error, and not compared one by one.',
  },
  {
    id: 'F27',
    what: 'The scheduler hangs, and no backup is made for weeks.',
    outcome: 'detected',
    how: 'What is overdue is a warning; a heartbeat to somewhere else ends when anything is wrong; a control that hangs is killed and started again.',
    tests: [
      ['src/main/jobs.test.ts', 'a job that never succeeds, or no longer, is overdue'],
      [
        'src/main/watch.test.ts',
        'the heartbeat comes while nothing is wrong, and only then; when it is not delivered, that is said without its address',
      ],
      ['src/main/watch.test.ts', 'a process that sent beats and then hangs is killed and started again'],
    ],
    missing: 'Without the address of a heartbeat, nobody outside notices that the whole machine is gone.',
  },
  {
    id: 'F28',
    what: 'A standby that was behind takes over, and nobody says what was lost.',
    outcome: 'detected',
    how: 'A failover says how many bytes were lost, or that it is unknown; WAL that stayed on the old line is announced and kept there.',
    tests: [
      [standby, 'a primary that hangs is ended, and what it had written is taken from its folder'],
      [
        standby,
        'a primary lost with its folder, or with a part of its log: the standby, which was behind, gets what was shipped',
      ],
      [
        `${shipping}/timeline.test.ts`,
        'WAL that a failover left behind is named, and the next timeline begins with a whole segment',
      ],
    ],
  },
  {
    id: 'F29',
    what: 'A disk fills up: of the backup, of the spool, of the WAL.',
    outcome: 'detected',
    how: 'Backups and dumps do not land on the local disk; a full region is an error that names it; a full spool keeps nothing that it confirms and says so; PostgreSQL keeps WAL up to a limit.',
    tests: [
      [
        `${shipping}/stuck.test.ts`,
        'the disk of the spool is full: nothing is confirmed that is not held, and it goes on when there is room',
      ],
      [disk, 'a full disk is FH_STORAGE_FULL that names the region, and leaves nothing'],
      [s3, 'a full bucket: FH_STORAGE_FULL that names the region'],
      [
        `${base}/faults.test.ts`,
        'a region that takes bytes no more is left behind; without any region there is no backup',
      ],
    ],
    missing:
      'The limit for WAL that PostgreSQL keeps is 32 GB, whatever the disk has left; on a smaller one the server stops first, after the warning about room.',
  },
  {
    id: 'F30',
    what: 'An upload counts as done and cannot be read, or its half stays for ever.',
    outcome: 'prevented',
    how: 'Read back before it counts; what came in halves has no name and is swept. What vanishes later turns the verification red.',
    tests: [
      [s3, 'bytes that come back changed: damaged, and gone, so that the same put works'],
      [s3, `killed at \${point}: the object is whole or not there, and removeUnfinished leaves nothing`],
      [`${retention}/run.test.ts`, 'uploads that never ended go after the grace, and not before'],
    ],
  },
  {
    id: 'F31',
    what: 'The server runs without full_page_writes or fsync; unlogged tables come back empty.',
    outcome: 'detected',
    how: 'Neither is set by us. Each verification and drill asks the running server and is red when one of them is off; without full pages the restore of one tenant ends in an error; page checksums are required; rows of unlogged tables are not expected.',
    tests: [
      [
        panic,
        'written without full pages, a restore of one database ends in a PANIC after the start: an error, never a server',
      ],
      [recoveryFaults, 'without page checksums nothing is recovered'],
    ],
    missing: 'Between two verifications, a day at most, nobody asks.',
  },
  {
    id: 'F32',
    what: 'A database was made by copying the files of another one that the restore leaves out.',
    outcome: 'prevented',
    how: 'Its files are then missing, which is an error before anybody sees it; its source is restored with it.',
    tests: [
      [restore, 'a clone that was made by copying files needs its source; without it there is an error and no rubbish'],
      [
        'src/clusters/recovery/recovery.test.ts',
        'databases that were made since are whole, unless they were copied by files that were left out',
      ],
    ],
  },
  {
    id: 'F33',
    what: 'Between the backup and the moment the tenant was renamed, deleted or made again.',
    outcome: 'prevented',
    how: 'A ledger of tenants, databases and times, kept by triggers in the transaction of the change, says which database was meant.',
    tests: [
      [restore, 'renamed, dropped, and made again under the same name: the one that was meant'],
      [
        'src/backups/catalogue/sql.test.ts',
        'follows every change that matters, in its transaction, and is never changed itself',
      ],
      [planning, 'the ledger decides which database was the tenant’s then'],
    ],
  },
  {
    id: 'F34',
    what: 'The restored copy of one tenant holds rows of others.',
    outcome: 'prevented',
    how: "Only the tenant's object and the shared one are read; what replay writes of others lies in a scratch folder that goes whatever happens; the tenant travels as an archive of its own database.",
    tests: [
      [restore, 'one tenant to a moment, from one region: its own rows, its own objects, and nothing of it left'],
      [
        `${base}/base.test.ts`,
        "one tenant's files alone: the server starts, its rows are there, nothing of the other tenant is",
      ],
    ],
  },
  {
    id: 'F35',
    what: 'Where the restore happens, a program is missing or of another version.',
    outcome: 'prevented',
    how: 'The programs are found and their version is compared with the backup before anything is started; a missing pg_amcheck turns the verification red under its own name.',
    tests: [
      [
        'src/clusters/clusters.test.ts',
        'binaries: the newest is found; a wrong folder is named together with what to install',
      ],
      unfit,
    ],
  },
  {
    id: 'F36',
    what: 'Data grows, and one day a restore takes longer than was promised.',
    outcome: 'detected',
    how: 'Each drill measures how long it took until everybody was answered; health warns two months before the line through the last drills of a region comes to the limit.',
    tests: [
      [
        'src/main/recovery-time.test.ts',
        'drills that become slower warn before the limit for recovery time is passed, each region by itself',
      ],
      [
        drill,
        'the installation from one region, while the other is not there; what was written after the ledger is no fault',
      ],
    ],
    missing:
      'A jump between two drills is seen by the next one, a week or two later; one tenant who is restored has no limit of his own.',
  },
];
