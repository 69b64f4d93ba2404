/** Recovery of a restored data folder on a scratch server: WAL from a source of ours, an explicit target, and proof that it was reached. */
export { type ControlData, readControlData } from './control-data.ts';
export { type EmptyServer, type EmptyServerOptions, startEmptyServer } from './empty-server.ts';
export { type RecoveredServer, type RecoveryOptions, startRecovery } from './recovery.ts';
export { createScratchFolder, removeScratchFolders, type ScratchFolder } from './scratch-folder.ts';
export { describeTarget, parseTimelineHistory, type RecoveryTarget, type TimelineSwitch } from './target.ts';
export type { WalSource } from './wal-source.ts';
