import type { PlantedLeak } from './types.ts';

const sandbox = 'src/processes/sandbox.ts';
const door = 'src/processes/door.ts';
const keeper = 'src/processes/keeper.ts';
const groups = ['apps'];

/** Into what keeps apps that are processes apart. */
export const appLeaks: readonly PlantedLeak[] = [
  {
    name: 'an app starts as the user that the door-keeper begins as',
    threat: 'an app that gets out of its sandbox is root',
    edits: [
      { file: door, find: 'const user = uid === undefined ? {} : { uid, gid: uid };', replace: 'const user = {};' },
    ],
    groups,
  },
  {
    name: 'the door-keeper stays what it begins as',
    threat: 'a fault in the door-keeper makes an app root',
    edits: [{ file: door, find: '  becomeNobody();\n', replace: '' }],
    groups,
  },
  {
    name: 'all apps are one user',
    threat: 'an app reads the folder of another where a fence falls',
    edits: [
      {
        file: 'src/processes/launcher.ts',
        find: 'firstPluginUid : firstAppUid) + place;',
        replace: 'firstPluginUid : firstAppUid) + 0 * place;',
      },
    ],
    groups,
  },
  {
    name: "an app has the machine's network",
    threat: 'an app reaches databases and ports of everybody on the machine',
    edits: [{ file: sandbox, find: "...(plan.hasNetwork ? [] : ['--unshare-net']),", replace: '' }],
    groups,
  },
  {
    name: 'an app sees the processes of the machine',
    threat: 'an app reads what others are started with',
    edits: [{ file: sandbox, find: "    '--unshare-pid',\n", replace: '' }],
    groups,
  },
  {
    name: 'the keeper takes the first app that it knows',
    threat: 'requests of one tenant go to the process of another',
    edits: [{ file: keeper, find: 'let kept = apps.get(tenantId);', replace: 'let kept = [...apps.values()][0];' }],
    groups,
  },
  {
    name: 'all apps write into one log',
    threat: 'whoever reads the log of one tenant reads that of all',
    edits: [
      {
        file: keeper,
        // biome-ignore lint/suspicious/noTemplateCurlyInString: text of the product
        find: 'join(deps.logDir, `${tenantId}.log`)',
        replace: "join(deps.logDir, tenantId && 'app.log')",
      },
    ],
    groups,
  },
  {
    name: 'a gateway remembers one entrance for all tenants',
    threat: 'requests of one tenant go to the process of another',
    edits: [
      {
        file: 'src/processes/gateway-link.ts',
        find: '      const known = entrances.get(tenantId);',
        replace: '      const known = [...entrances.values()][0];',
      },
    ],
    groups,
  },
  {
    name: 'what a client says about itself is passed on',
    threat: 'anybody is anybody at an app that believes Freehold-Identity',
    edits: [
      {
        file: 'src/hosting/proxied/request-headers.ts',
        find: ' || isSpoofable(name)',
        replace: '',
      },
    ],
    groups,
  },
  {
    name: "the platform's cookie is passed on",
    threat: 'an app takes over the sessions of its users at the platform',
    edits: [
      {
        file: 'src/hosting/proxied/request-headers.ts',
        find: "const { app } = divideCookies(cookies.join('; '));",
        replace: "const app = cookies.join('; ');\n  divideCookies(app);",
      },
    ],
    groups,
  },
];
