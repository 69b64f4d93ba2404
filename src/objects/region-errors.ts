import { defineErrors } from '#src/kernel/index.ts';

export const regionErrors = defineErrors({
  FH_REGION_UNAVAILABLE: {
    status: 503,
    title: 'A region does not answer',
    hint: 'Nothing is lost: what is owed to the region is kept and sent when it is back. Look at its disk or its service, and at the way there.',
    retry: 'soon',
  },
  FH_REGION_REFUSED: {
    status: 502,
    title: 'A region does not let us in as it is set up',
    hint: "Correct the region's address or its credentials; trying again alone does not help.",
  },
  FH_REGION_DAMAGED: {
    status: 502,
    title: 'A region gave back other bytes than were written',
    hint: 'The object was removed and is written again. Look at the disk or the service of the region.',
    retry: 'later',
  },
});
