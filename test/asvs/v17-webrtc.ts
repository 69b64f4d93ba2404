import { notApplicable } from './types.ts';

const ids = [
  ...['V17.1.1', 'V17.1.2'],
  ...['V17.2.1', 'V17.2.2', 'V17.2.3', 'V17.2.4', 'V17.2.5', 'V17.2.6', 'V17.2.7', 'V17.2.8'],
  ...['V17.3.1', 'V17.3.2'],
];

export const webRtc = ids.map((id) =>
  notApplicable(id, 'There is no WebRTC: no TURN server, no media, no signalling.'),
);
