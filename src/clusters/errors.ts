import { defineErrors } from '#src/kernel/index.ts';

export const clusterErrors = defineErrors({
  FH_CLUSTER_NO_BINARIES: {
    status: 500,
    title: 'No PostgreSQL server (15 to 18) was found on this machine',
    hint: 'Install the package postgresql (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@18), or set FREEHOLD_PG_BIN to the folder of its programs.',
  },
  FH_CLUSTER_INITIALISE_FAILED: { status: 500, title: 'The PostgreSQL data folder could not be made' },
  FH_CLUSTER_VERSION_MISMATCH: {
    status: 500,
    title: 'The data folder belongs to another major version of PostgreSQL',
    hint: 'Install the PostgreSQL version that made it, or upgrade the data folder with pg_upgrade.',
  },
  FH_CLUSTER_START_FAILED: {
    status: 500,
    title: 'The PostgreSQL server did not start',
    hint: 'Its log file says why.',
    retry: 'later',
  },
  FH_CLUSTER_STOP_FAILED: { status: 500, title: 'The PostgreSQL server did not stop' },
  FH_CLUSTER_IN_USE: {
    status: 500,
    title: 'Another PostgreSQL server is running on this data folder and did not stop',
  },
  FH_CLUSTER_TOOL_FAILED: { status: 500, title: 'A PostgreSQL tool failed' },
  FH_CLUSTER_SERVER_UNFIT: { status: 500, title: 'The PostgreSQL server cannot be used as it is' },
  FH_CLUSTER_FENCED: {
    status: 500,
    title: 'This data folder was closed by a failover and must not run as a primary',
    hint: 'Start with ./freehold up, which knows the primary and makes this one follow it.',
  },
  FH_CLUSTER_DATA_MISSING: {
    status: 500,
    title: "The primary's data folder is not there",
    hint: 'Put the file system back. If it is lost, make the standby the primary: ./freehold failover',
  },
  FH_FAILOVER_NO_STANDBY: {
    status: 409,
    title: 'No standby can take over now',
    hint: './freehold status says how the standby is.',
    retry: 'later',
  },
  FH_FAILOVER_RUNNING: { status: 409, title: 'A failover is under way' },
  FH_FAILOVER_UNDONE: {
    status: 500,
    title: 'The failover was taken back; the old primary goes on',
    hint: 'Nothing is lost. The log of the standby in the data folder says more.',
  },
  FH_FAILOVER_WOULD_LOSE: {
    status: 409,
    title:
      'A failover now could lose what a tenant with recovery point zero was told to be saved; nothing was promoted',
    hint: 'Bring a region back and try again. If none comes back, accept the loss: ./freehold failover --yes --accept-loss',
    retry: 'later',
  },
  FH_CLUSTER_UNREACHABLE: { status: 503, title: 'The PostgreSQL server does not answer', retry: 'later' },
});
