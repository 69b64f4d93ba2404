import { defineErrors } from '#src/kernel/index.ts';

export const shippingErrors = defineErrors({
  FH_WAL_SECOND_WRITER: {
    status: 500,
    title: 'Two servers write the WAL of one cluster into a region',
    hint: 'Shipping has stopped. Find out which of the two is the primary, fence the other, and start the shipper again.',
  },
  FH_WAL_OTHER_CLUSTER: {
    status: 500,
    title: 'The server is not the cluster whose WAL lies in the spool',
    hint: 'Its system identifier is another: a new data folder needs a new cluster id and an empty spool.',
  },
  FH_WAL_OLD_PRIMARY: {
    status: 503,
    title: 'The server is on an older timeline than the WAL that is held already',
    hint: 'It is an old primary or not promoted yet. Shipping goes on when the primary answers; re-seed the old one as a standby.',
    retry: 'later',
  },
  FH_WAL_GAP: {
    status: 500,
    title: 'WAL is missing in the region',
    hint: 'Restore to a moment before the gap, from the other region, or from a base backup that was made after it.',
  },
  FH_WAL_SPOOL_DAMAGED: {
    status: 500,
    title: 'The spool of the shipper holds something that is not its own',
    hint: 'Move the named file away; nothing was sent or removed.',
  },
});
