import type { PlantedLeak } from './types.ts';

const calls = 'src/plugins/calls.ts';
const runs = 'src/plugins/runs.ts';
const groups = ['plugins'];

/** Into what holds custom plugins to what they declare, and to their own tenant. */
export const pluginLeaks: readonly PlantedLeak[] = [
  {
    name: 'hosts that a plugin asks for are not compared with those that it declares',
    threat: 'a plugin sends what it reads to whom it likes',
    edits: [{ file: calls, find: 'if (!hosts.includes(host))', replace: 'if (hosts.length === 0)' }],
    groups,
  },
  {
    name: 'a plugin that declares reading writes',
    threat: 'a report changes what it reports',
    edits: [{ file: calls, find: "if (access === 'read' && ", replace: "if (access !== 'read' && " }],
    groups,
  },
  {
    name: 'a plugin asks below /-/',
    threat: 'where tokens are taken there by mistake, a plugin reads users and sessions',
    edits: [{ file: calls, find: '(?![/\\\\-])', replace: '' }],
    groups,
  },
  {
    name: 'the edition is not asked when a plugin runs',
    threat: 'a tenant that moved to Standard has its code run beside others',
    edits: [{ file: runs, find: '    requireEdition(tenant);\n', replace: '' }],
    groups,
  },
  {
    name: 'a call of one run is answered for another',
    threat: 'a plugin reads what that of another tenant keeps',
    edits: [
      {
        file: runs,
        find: 'const own = underWay.get(runId);\n      if (!own ||',
        replace: 'const own = [...underWay.values()][0];\n      if (!own ||',
      },
    ],
    groups,
  },
  {
    name: 'a run that was ended is answered still',
    threat: 'a plugin that was disabled goes on with what it kept',
    edits: [{ file: runs, find: 'if (!own || own.ended !== undefined) throw', replace: 'if (!own) throw' }],
    groups,
  },
  {
    name: 'a plugin runs without the permission model',
    threat: 'the sandbox alone stands between a plugin and the machine',
    edits: [{ file: 'src/plugins/host.ts', find: "    '--permission',\n", replace: '' }],
    groups,
  },
];
